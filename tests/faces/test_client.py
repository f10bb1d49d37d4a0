"""The library's client, on a place of every kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import dockless
from dockless.faces.client import Client
from dockless.faces.named import pull_destination
from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from dockless.model.digest import digest_of
from dockless.model.events import BlobFinished, BlobMounted, Event
from dockless.model.location import ArchiveLocation, parse_location
from dockless.model.platform import parse_platform
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Reply
from tests.faces.command import at, registry, stored
from tests.faces.places import KINDS, LAYERS, layout, named, place, shop
from tests.scripted import NAME, QUICK, layer, layer_path

IMAGES = make_image({"a": b"1"}, {"b": b"2"})


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(QUICK) as client:
        yield client


@pytest.fixture
def there() -> Iterator[str]:
    with EmbeddedRegistry(MemoryRepositories()) as server:
        yield server.host


@pytest.fixture
def here(tmp_path: Path) -> str:
    return layout(tmp_path / "here")


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_reads(tmp_path: Path, client: Client, kind: str) -> None:
    with place(kind, tmp_path) as where:
        location = where + named(kind)
        root = client.resolve(location)
        arm = client.resolve(location, "linux/arm64")
        assert client.digest(location) == root.digest
        assert client.resolve(parse_location(location), parse_platform("linux/arm64")) == arm
        assert digest_of(client.manifest(location).raw) == root.digest
        assert client.manifest(location, "linux/arm64").descriptor == arm
        image = client.image(location, "linux/arm64")
        assert (image.root, image.descriptor) == (root, arm)
        assert [row.digest for row in client.tag_table(where)] == [root.digest]
        assert client.inspect(location, "linux/amd64").entrypoint == ("/bin/serve",)
        assert client.validate(location).ok
        with client.blob(f"{where}@{digest_of(LAYERS[0])}") as blob:
            assert blob.size == len(LAYERS[0])
            assert blob.readall() == LAYERS[0]
        found = client.download(f"{where}@{digest_of(LAYERS[1])}", tmp_path / "blob")
        assert found.size == len(LAYERS[1])
        assert (tmp_path / "blob").read_bytes() == LAYERS[1]


def test_it_is_told_what_happens(there: str, here: str) -> None:
    events: list[Event] = []
    with Client(QUICK, observe=events.append) as client:
        client.copy(f"{here}:1.0", f"{there}/a:1")
        assert len({event.blob for event in events if isinstance(event, BlobFinished) and event.verified}) == 4
        events.clear()
        assert client.copy(f"{there}/a:1", f"{there}/b:1").mounted == 4
        assert len([event for event in events if isinstance(event, BlobMounted)]) == 4


def test_a_blob_that_is_damaged_raises_at_its_end(here: str, client: Client, tmp_path: Path) -> None:
    damaged = tmp_path / "here" / "blobs" / "sha256" / digest_of(LAYERS[1])[7:]
    damaged.chmod(0o644)
    damaged.write_bytes(bytes(len(LAYERS[1])))
    with client.blob(f"{here}@{digest_of(LAYERS[1])}") as blob, pytest.raises(dockless.ChecksumMismatch):
        blob.readall()
    with pytest.raises(dockless.ChecksumMismatch):
        client.download(f"{here}@{digest_of(LAYERS[1])}", tmp_path / "blob")
    assert not (tmp_path / "blob").exists()


def test_a_blob_that_is_damaged_can_be_deleted(here: str, client: Client, tmp_path: Path) -> None:
    damaged = tmp_path / "here" / "blobs" / "sha256" / digest_of(LAYERS[1])[7:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"!")
    client.delete(f"{here}@{digest_of(LAYERS[1])}")
    assert not damaged.exists()


class TestCopy:
    def test_the_platforms_that_are_asked_for(self, here: str, client: Client, tmp_path: Path) -> None:
        whole = client.digest(f"{here}:1.0")
        for wanted, same in (
            (None, True),
            ("all", True),
            ("linux/arm64", False),
            (["linux/amd64", "linux/arm64"], True),
        ):
            copied = client.copy(f"{here}:1.0", f"oci:{tmp_path / 'out'}:x", platforms=wanted)
            assert (copied.root.digest == whole, copied.changed) == (same, not same)

    def test_another_client_reaches_the_destination(self, here: str, client: Client) -> None:
        ann = dockless.Credential("ann", "s3cret")
        with EmbeddedRegistry(MemoryRepositories(), V1Options(credentials=("ann", "s3cret"))) as server:
            with pytest.raises(dockless.CopyFault) as caught:
                client.copy(f"{here}:1.0", f"{server.host}/a")
            assert (caught.value.side, caught.value.exit_code) == ("destination", 4)
            assert isinstance(caught.value.__cause__, dockless.Unauthorized)
            with Client(QUICK, credentials={server.host: ann}) as other:
                client.copy(f"{here}:1.0", f"{server.host}/a", to=other)
                assert list(other.tags(f"{server.host}/a")) == ["latest"]

    def test_an_error_while_an_archive_is_closed_is_of_its_side(self, here: str, tmp_path: Path) -> None:
        out = tmp_path / "out"

        def block(event: Event) -> None:
            out.mkdir(exist_ok=True)

        with Client(QUICK, observe=block) as client, pytest.raises(dockless.CopyFault) as caught:
            client.copy(f"{here}:1.0", f"oci-archive:{out}")
        assert caught.value.side == "destination"

    def test_by_a_function_alone(self, here: str, tmp_path: Path) -> None:
        copied = dockless.copy(f"{here}:1.0", f"oci:{tmp_path / 'out'}:2")
        assert (copied.name, copied.blobs) == ("2", 4)


class TestV1:
    @pytest.fixture
    def old(self, tmp_path: Path) -> Iterator[str]:
        with EmbeddedRegistry(stored(tmp_path / "v1", IMAGES, {"1.0": IMAGES[0]})) as server:
            yield f"v1:{server.host}/{NAME}"

    def test_what_it_has(self, old: str, client: Client) -> None:
        assert list(client.tags(old)) == ["1.0"]
        assert client.digest(f"{old}:1.0") == IMAGES[0].id
        assert client.digest(f"{old}@{IMAGES[1].id}") == IMAGES[1].id
        assert list(client.catalog(old.partition("/")[0])) == [NAME]
        with pytest.raises(dockless.NotFound):
            client.digest(old)

    @pytest.mark.parametrize("verb", ["manifest", "resolve", "image", "inspect", "validate"])
    def test_what_it_has_not_is_unsupported(self, old: str, client: Client, verb: str) -> None:
        with pytest.raises(dockless.Unsupported, match="has no manifest"):
            getattr(client, verb)(f"{old}:1.0")
        with pytest.raises(dockless.Unsupported), client.blob(f"{old}:1.0"):
            pass

    def test_an_image_becomes_one_of_oci(self, old: str, client: Client, tmp_path: Path) -> None:
        copied = client.pull(f"{old}:1.0", f"oci:{tmp_path / 'out'}:1")
        assert (copied.blobs, copied.manifests, copied.present) == (3, 1, 0)
        assert client.validate(f"oci:{tmp_path / 'out'}:1").ok

    def test_without_a_home_it_does_so_without_a_journal(
        self, old: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("pwd.getpwuid", _nobody)
        with Client(QUICK) as client:
            assert client.pull(f"{old}:1.0", f"oci:{tmp_path / 'out'}:1").blobs == 3
            with pytest.raises(dockless.CopyFault, match="there is no cache"):
                client.pull(f"{old}:1.0", f"oci-archive:{tmp_path / 'out.tar'}:1")

    def test_an_interrupted_migration_through_the_spool_is_taken_up_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with registry(*IMAGES) as peer, Client(QUICK, cache=tmp_path / "cache") as client:
            layer(peer, IMAGES[0], Reply(404), Reply(body=IMAGES[0].layer))
            out = f"oci-archive:{tmp_path / 'out.tar'}:1"
            with pytest.raises(dockless.CopyFault):
                client.copy(at(peer), out, jobs=1)
            assert list((tmp_path / "cache" / "spool").iterdir())
            client.copy(at(peer), out, jobs=1)
            assert [request.path for request in peer.requests].count(layer_path(IMAGES[1])) == 1
        assert list((tmp_path / "cache" / "spool").iterdir()) == []


def _nobody(uid: int) -> None:
    raise KeyError(uid)


class TestTags:
    def test_tag_and_untag_and_delete(self, there: str, here: str, client: Client) -> None:
        client.push(f"{here}:1.0", f"{there}/a:1")
        root = client.tag(f"{there}/a:1", "2", "3")
        assert sorted(client.tags(f"{there}/a")) == ["1", "2", "3"]
        client.untag(f"{there}/a:2")
        assert sorted(client.tags(f"{there}/a")) == ["1", "3"]
        assert client.delete(f"{there}/a@{root}").digest == root
        assert list(client.tags(f"{there}/a")) == []

    def test_catalog_and_ping(self, there: str, here: str, client: Client) -> None:
        client.push(f"{here}:1.0", f"{there}/team/a:1")
        assert list(client.catalog(there)) == ["team/a"]
        found = client.ping(there)
        assert found.registry == there
        assert found.v2 is not None
        assert found.v1 is not None
        assert client.ping(f"v1:{there}").v2 is None

    def test_a_registry_that_does_not_answer_is_not_one_that_speaks_less(self, client: Client) -> None:
        with Peer() as peer:
            peer.on("/v2/", Reply(200))
            peer.on("/v1/_ping", Reply(drop=True))
            with pytest.raises(dockless.NetworkFault):
                client.ping(peer.host)
            assert "closed before answer" in peer.faults


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("alpine", ArchiveLocation("oci", "alpine", "latest")),
        ("h.example/team/shop:1", ArchiveLocation("oci", "shop", "1")),
        (f"h.example/team/shop@{digest_of(b'')}", ArchiveLocation("oci", "shop")),
        ("v1:h/library/shop", ArchiveLocation("oci", "shop", "latest")),
        (f"v1:h/shop@{'0' * 64}", ArchiveLocation("oci", "shop", "0" * 64)),
    ],
)
def test_where_a_pull_goes(source: str, destination: ArchiveLocation) -> None:
    assert pull_destination(parse_location(source)) == destination


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("pull", ["alpine", "registry.example/a"]),
        ("pull", ["oci:a"]),
        ("pull", ["oci:a", "oci:b"]),
        ("push", ["alpine", "registry.example/a"]),
        ("push", ["oci:a", "oci:b"]),
        ("copy", ["oci:a", f"v1:h/a@{'0' * 64}"]),
        ("delete", ["oci:a:1"]),
        ("untag", ["oci:a"]),
        ("untag", ["v1:h/a"]),
        ("ping", ["h/a"]),
        ("catalog", ["a b"]),
        ("tags", ["v1:h.example"]),
        ("copy", ["oci:a", "oci:b:"]),
    ],
)
def test_what_makes_no_sense_is_said_before_anything_is_done(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dockless.InvalidReference) as caught:
        list(getattr(client, verb)(*arguments) or ())
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_credential_is_for_its_registry_alone(here: str) -> None:
    with Peer() as one, Peer() as other:
        for peer in (one, other):
            peer.on("/v2/a/tags/list", Reply(401, headers=(("WWW-Authenticate", 'Basic realm="x"'),)))
        with Client(QUICK, credentials={one.host: dockless.Credential("ann", "s3cret")}) as client:
            for peer in (one, other):
                with pytest.raises(dockless.Unauthorized):
                    list(client.tags(f"{peer.host}/a"))
        assert [request.header("Authorization") for request in one.requests][-1] is not None
        assert {request.header("Authorization") for request in other.requests} == {None}


def test_shop_is_the_same_in_each_store(tmp_path: Path) -> None:
    assert shop(OciLayout(tmp_path / "a")) == shop(OciLayout(tmp_path / "b"))
