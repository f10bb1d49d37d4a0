"""Verbs that move images, between places of every kind: what arrives, what is said, and who gets which password."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from dockless.faces.server.v2 import V2Options
from dockless.model.digest import digest_of
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, json_reply
from dockless.wire.auth import Credential
from tests.faces.command import Ran, at, call, registry, run, stored
from tests.faces.places import KINDS, LAYERS, layout, named, place
from tests.graphs import referrer
from tests.scripted import NAME

V1_IMAGES = make_image({"a": b"1"}, {"b": b"2"})
ANN, BOB = ("ann", "s3cret"), ("bob", "pa55word")


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ".cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def there() -> Iterator[str]:
    """The host of an empty registry."""
    with EmbeddedRegistry(MemoryRepositories()) as server:
        yield server.host


@pytest.fixture
def here(tmp_path: Path) -> str:
    """A layout with the image in it."""
    return layout(tmp_path / "here")


def digest(location: str) -> str:
    with Client() as client:
        return client.digest(location)


def last(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.err.splitlines()[-1]


class TestCopy:
    @pytest.mark.parametrize("end", KINDS)
    @pytest.mark.parametrize("start", KINDS)
    def test_between_places_of_every_kind(
        self, *, capsys: pytest.CaptureFixture[str], tmp_path: Path, there: str, start: str, end: str
    ) -> None:
        with place(start, tmp_path / "places") as source:
            where = f"{there}/x" if end == "registry" else f"{end}:copied"
            ran = call(capsys, "copy", source + named(start), where + named(end))
            assert ran.out == f"{digest(source + named(start))}\n"
        assert last(ran).startswith("copied 4 blobs and 3 manifests, ")
        assert digest(where + named(end)) == ran.out.strip()

    def test_each_blob_has_one_line(self, capsys: pytest.CaptureFixture[str], there: str, here: str) -> None:
        ran = call(capsys, "copy", f"{here}:1.0", f"{there}/a")
        *lines, _ = ran.err.splitlines()
        assert len(lines) == len({line.partition(":")[0] for line in lines}) == 4
        assert all(line.endswith(", verified") for line in lines)

    def test_a_second_time_there_is_nothing_to_do(
        self, capsys: pytest.CaptureFixture[str], there: str, here: str
    ) -> None:
        call(capsys, "copy", f"{here}:1.0", f"{there}/a")
        ran = call(capsys, "copy", f"{here}:1.0", f"{there}/a")
        assert ran.err == "nothing to copy: all of it is there already\n"

    def test_what_is_there_is_summed_up_in_the_last_line(
        self, capsys: pytest.CaptureFixture[str], there: str, here: str
    ) -> None:
        call(capsys, "copy", f"{here}:1.0", f"{there}/a", "--platform", "linux/amd64")
        ran = call(capsys, "copy", f"{here}:1.0", f"{there}/a:2", "-v")
        assert last(ran).endswith("; 2 there already")  # an image, and the layer that the other has of it
        assert len([line for line in ran.err.splitlines() if line.endswith(", here already")]) == 1

    def test_within_a_registry_blobs_are_mounted(
        self, capsys: pytest.CaptureFixture[str], there: str, here: str
    ) -> None:
        call(capsys, "copy", f"{here}:1.0", f"{there}/a")
        ran = call(capsys, "copy", f"{there}/a", f"{there}/b")
        assert last(ran).startswith("copied 0 blobs and 3 manifests, ")
        assert last(ran).endswith("; 4 mounted from another repository")

    def test_quiet_says_nothing(self, capsys: pytest.CaptureFixture[str], there: str, here: str) -> None:
        assert call(capsys, "copy", f"{here}:1.0", f"{there}/a", "-q").err == ""

    def test_a_platform_is_its_manifest_and_that_is_said(
        self, capsys: pytest.CaptureFixture[str], there: str, here: str
    ) -> None:
        ran = call(capsys, "copy", f"{here}:1.0", f"{there}/a", "--platform", "linux/arm64")
        assert ran.out == f"{digest(f'{there}/a')}\n"
        assert ran.err.startswith("note: the digest changes: of ")
        code, _, err = call(capsys, "copy", f"{here}:1.0", f"{there}/b", "--platform", "linux/s390x")
        assert code == 3
        assert "linux/amd64, linux/arm64" in err

    def test_all_platforms_is_the_default_by_name(
        self, capsys: pytest.CaptureFixture[str], there: str, here: str
    ) -> None:
        ran = call(capsys, "copy", f"{here}:1.0", f"{there}/a", "--platform", "all")
        assert ran.out == f"{digest(f'{here}:1.0')}\n"

    def test_a_dry_run_says_what_would_be_copied_and_copies_nothing(
        self, capsys: pytest.CaptureFixture[str], there: str, here: str
    ) -> None:
        ran = call(capsys, "copy", f"{here}:1.0", f"{there}/a", "--dry-run")
        assert ran.out == f"{digest(f'{here}:1.0')}\n"
        assert ran.err.startswith("would copy 4 blobs and 3 manifests, ")
        assert call(capsys, "catalog", there).out == ""
        assert call(capsys, "copy", f"{here}:1.0", "oci-archive:new.tar", "--dry-run").code == 0
        assert not Path("new.tar").exists()

    def test_as_json(self, capsys: pytest.CaptureFixture[str], there: str, here: str) -> None:
        ran = call(capsys, "copy", f"{here}:1.0", f"{there}/a:2", "--json")
        shown = json.loads(ran.out)
        assert (shown["destination"], shown["name"]) == (f"{there}/a:2", "2")
        assert shown["root"] == shown["source_root"]
        assert [shown[key] for key in ("blobs", "manifests", "mounted", "present", "foreign", "referrers")] == [
            4, 3, 0, 0, 0, 0,
        ]  # fmt: skip
        assert shown["bytes"] > 0
        assert shown["changed"] is False

    def test_referrers_come_along(self, capsys: pytest.CaptureFixture[str], there: str, here: str) -> None:
        store = OciLayout(Path(here.removeprefix("oci:")))
        referrer(store, store.resolve("1.0"), "application/x-signature")
        assert last(call(capsys, "copy", f"{here}:1.0", f"{there}/a", "--referrers")).endswith("; 1 of them referrers")

    def test_no_clobber_keeps_a_tag(self, capsys: pytest.CaptureFixture[str], there: str, here: str) -> None:
        call(capsys, "copy", f"{here}:1.0", f"{there}/a", "--platform", "linux/arm64")
        code, _, err = call(capsys, "copy", f"{here}:1.0", f"{there}/a", "--no-clobber")
        assert code == 1
        assert "latest is there and names" in err

    def test_a_digest_behind_a_tag_is_required(self, capsys: pytest.CaptureFixture[str], there: str, here: str) -> None:
        wanted = digest(f"{here}:1.0")
        assert call(capsys, "copy", f"{here}:1.0", f"{there}/a:2@{wanted}").out == f"{wanted}\n"
        assert digest(f"{there}/a:2") == wanted
        code, _, err = call(capsys, "copy", f"{here}:1.0", f"{there}/b:2@{digest_of(b'?')}")
        assert code == 1
        assert f"what would be copied is {wanted}" in err
        assert call(capsys, "catalog", there).out == "a\n"

    def test_an_archive_that_failed_is_not_there(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, here: str
    ) -> None:
        (tmp_path / "here" / "blobs" / "sha256" / digest_of(LAYERS[1])[7:]).unlink()
        code, _, err = call(capsys, "copy", f"{here}:1.0", "oci-archive:out.tar:1")
        assert code == 3
        assert err.splitlines()[-2].startswith("error: source: ")
        assert list(tmp_path.glob("*.tar")) == []

    @pytest.mark.parametrize(
        ("source", "destination", "code", "side"),
        [
            ("oci:nowhere", "oci:x", 3, "source"),
            ("oci:here:nope", "oci:x", 3, "source"),
            ("docker-archive:nowhere", "oci:x", 3, "source"),
            ("127.0.0.1:1/a", "oci:x", 6, "source"),
            ("v1:127.0.0.1:1/a", "oci:x", 6, "source"),
            ("oci:here:1.0", "127.0.0.1:1/a", 6, "destination"),
            ("oci:here:1.0", "oci-archive:nowhere/x", 1, "destination"),
            ("oci:here:1.0", "oci:here/oci-layout/x", 1, "destination"),
        ],
    )
    def test_an_error_names_its_side(
        self, *, capsys: pytest.CaptureFixture[str], here: str, source: str, destination: str, code: int, side: str
    ) -> None:
        ran = call(capsys, "copy", source, destination, "--retries", "0")
        assert (ran.code, ran.out) == (code, "")
        assert [line[:7] for line in ran.err.splitlines()] == ["error: ", "try:   "]
        assert ran.err.startswith(f"error: {side}: ")


def test_a_registry_that_takes_nothing_is_not_to_be_tried_later(capsys: pytest.CaptureFixture[str], here: str) -> None:
    with EmbeddedRegistry(MemoryRepositories(), v2=V2Options(read_only=True)) as server:
        code, _, err = call(capsys, "push", here, f"{server.host}/a")
    assert code == 6
    assert "HTTP 405" in err
    assert "it may be there to be read only" in err


class TestCredentials:
    """Each side of a copy has its own."""

    @pytest.fixture
    def servers(self, here: str) -> Iterator[tuple[str, str]]:
        with (
            EmbeddedRegistry(MemoryRepositories(), V1Options(credentials=ANN)) as ann,
            EmbeddedRegistry(MemoryRepositories(), V1Options(credentials=BOB)) as bob,
            Client(credentials={ann.host: Credential(*ANN)}) as client,
        ):
            client.copy(f"{here}:1.0", f"{ann.host}/a")
            yield ann.host, bob.host

    def test_each_side_is_given_its_own(self, servers: tuple[str, str]) -> None:
        flags = ["--from-username", "ann", "--from-password-stdin", "--to-username", "bob", "--to-password-stdin"]
        ended = run("copy", f"{servers[0]}/a", f"{servers[1]}/b", *flags, stdin=b"s3cret\npa55word\n")
        assert ended.code == 0, ended.err

    @pytest.mark.parametrize(
        ("flags", "side"),
        [
            (["--from-username", "ann", "--from-password", "s3cret"], "destination"),
            (["--to-username", "bob", "--to-password", "pa55word"], "source"),
        ],
    )
    def test_the_other_side_asks_in_vain(
        self, capsys: pytest.CaptureFixture[str], servers: tuple[str, str], flags: list[str], side: str
    ) -> None:
        code, _, err = call(capsys, "copy", f"{servers[0]}/a", f"{servers[1]}/b", *flags)
        assert code == 4
        assert err.startswith(f"error: {side}: ")
        assert "--from-username or --to-username" in err

    def test_not_even_within_one_registry(self, capsys: pytest.CaptureFixture[str], servers: tuple[str, str]) -> None:
        flags = ["--from-username", "ann", "--from-password", "s3cret"]
        code, _, err = call(capsys, "copy", f"{servers[0]}/a", f"{servers[0]}/b", *flags)
        assert code == 4
        assert err.startswith("error: destination: ")

    def test_a_host_that_asks_for_none_sees_none(
        self, capsys: pytest.CaptureFixture[str], servers: tuple[str, str]
    ) -> None:
        with Peer() as peer:
            flags = ["--from-username", "ann", "--from-password", "s3cret", "--retries", "0"]
            assert call(capsys, "copy", f"{servers[0]}/a", f"{peer.host}/b", *flags).code != 0
            assert peer.requests
            assert {request.header("Authorization") for request in peer.requests} == {None}

    def test_a_place_on_this_machine_takes_none(self, capsys: pytest.CaptureFixture[str], here: str) -> None:
        code, _, err = call(capsys, "copy", f"{here}:1.0", "oci:x", "--to-username", "a", "--to-password", "b")
        assert code == 2
        assert "oci:x takes no credentials" in err


class TestPull:
    def test_by_default_into_a_layout_named_like_the_repository(
        self, capsys: pytest.CaptureFixture[str], there: str, here: str
    ) -> None:
        call(capsys, "copy", f"{here}:1.0", f"{there}/team/shop:1.0")
        ran = call(capsys, "pull", f"{there}/team/shop:1.0")
        assert digest("oci:shop:1.0") == ran.out.strip()

    @pytest.mark.parametrize("flags", [[], ["--platform", "linux/amd64"]], ids=["all", "one platform"])
    @pytest.mark.parametrize("tag", [":1.0", ""])
    def test_by_digest(
        self, *, capsys: pytest.CaptureFixture[str], there: str, here: str, tag: str, flags: list[str]
    ) -> None:
        call(capsys, "copy", f"{here}:1.0", f"{there}/shop:1.0")
        ran = call(capsys, "pull", f"{there}/shop{tag}@{digest(f'{here}:1.0')}", *flags)
        assert ran.code == 0
        assert digest("oci:shop") == ran.out.strip()
        assert list(OciLayout(Path("shop")).tags()) == ([tag[1:]] if tag else [])

    @pytest.mark.parametrize("end", ["oci:out:2", "oci-archive:out:2", "docker-archive:out:shop:2"])
    def test_elsewhere(self, capsys: pytest.CaptureFixture[str], there: str, here: str, end: str) -> None:
        call(capsys, "copy", f"{here}:1.0", f"{there}/shop:1.0")
        assert call(capsys, "pull", f"{there}/shop:1.0", end).out == f"{digest(end)}\n"

    @pytest.mark.parametrize("destination", ["directory", "v1:h/a", "localhost:1/a"])
    def test_what_is_no_place_here_is_2(self, capsys: pytest.CaptureFixture[str], there: str, destination: str) -> None:
        code, _, err = call(capsys, "pull", f"{there}/shop", destination)
        assert code == 2
        assert "is not on this machine" in err

    @pytest.mark.parametrize("destination", [[], ["oci:b"]], ids=["by default", "elsewhere"])
    def test_a_place_here_is_not_pulled(
        self, capsys: pytest.CaptureFixture[str], here: str, destination: list[str]
    ) -> None:
        code, _, err = call(capsys, "pull", here, *destination)
        assert code == 2
        assert "is here already" in err


class TestPush:
    @pytest.mark.parametrize("kind", ["oci", "oci-archive", "docker-archive"])
    def test_it_sends_what_is_here(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, there: str, kind: str
    ) -> None:
        with place(kind, tmp_path) as where:
            ran = call(capsys, "push", where, f"{there}/a:1")  # the only image there is
            assert ran.code == 0
            assert digest(f"{there}/a:1") == digest(where + named(kind))

    @pytest.mark.parametrize(
        ("source", "reference", "words"),
        [("directory", "h/a", "is not on this machine"), ("oci:a", "oci:b", "is no registry")],
    )
    def test_what_makes_no_sense_is_2(
        self, capsys: pytest.CaptureFixture[str], source: str, reference: str, words: str
    ) -> None:
        code, _, err = call(capsys, "push", source, reference)
        assert code == 2
        assert words in err


class TestV1:
    @pytest.fixture
    def old(self, tmp_path: Path) -> Iterator[str]:
        store = stored(tmp_path / "v1", V1_IMAGES, {"1.0": V1_IMAGES[0]})
        with EmbeddedRegistry(store) as server:
            yield f"v1:{server.host}/{NAME}:1.0"

    @pytest.mark.parametrize("end", KINDS)
    def test_each_layer_has_one_line_and_counts_as_copied(
        self, capsys: pytest.CaptureFixture[str], there: str, old: str, end: str
    ) -> None:
        where = f"{there}/x" if end == "registry" else f"{end}:out"
        ran = call(capsys, "copy", old, where + named(end))
        ids = [line.partition(":")[0] for line in ran.err.splitlines()[:-1]]
        assert {image.id[:12] for image in V1_IMAGES} < set(ids)
        assert len(ids) == len(V1_IMAGES) + 1  # and the config
        assert last(ran).startswith("copied 3 blobs and 1 manifest, ")
        assert not Path(".cache", "spool").is_dir() or not [*Path(".cache", "spool").glob("*/index.json")]

    def test_it_is_the_same_image_everywhere(self, capsys: pytest.CaptureFixture[str], there: str, old: str) -> None:
        ends = [f"{there}/x:1", "oci:out:1", "oci-archive:out.tar:1", "docker-archive:out.docker.tar:x:1"]
        assert len({call(capsys, "copy", old, end).out for end in ends}) == 1

    def test_one_whose_layers_are_remembered_is_there_already(
        self, capsys: pytest.CaptureFixture[str], there: str, old: str
    ) -> None:
        call(capsys, "copy", old, f"{there}/x:1")
        ran = call(capsys, "copy", old, f"{there}/x:2")
        assert ran.err == "nothing to copy: all of it is there already\n"

    def test_a_layer_without_a_checksum_is_said_to_be_unverified(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*V1_IMAGES, checksums=False) as peer:
            ran = call(capsys, "pull", at(peer))
        assert len([line for line in ran.err.splitlines() if "unverified: the registry gave no checksum" in line]) == 2

    def test_a_dry_run_is_refused(self, capsys: pytest.CaptureFixture[str], old: str) -> None:
        code, _, err = call(capsys, "copy", old, "oci:x", "--dry-run")
        assert code == 1
        assert "`dockless layers`" in err

    @pytest.mark.parametrize(
        ("end", "flags", "code", "words"),
        [
            ("a/b:1", ["--referrers"], 1, "Leave out --referrers"),
            ("a/b:1", [], 1, "--platform"),
            (f"a/b@{'0' * 64}", [], 2, "Name a tag"),
            ("", [], 2, "names no repository"),
        ],
    )
    def test_what_v1_cannot_hold_is_refused_before_anything_is_sent(
        self, *, capsys: pytest.CaptureFixture[str], here: str, end: str, flags: list[str], code: int, words: str
    ) -> None:
        with Peer() as peer:
            peer.on("/v1/repositories/a/b/images", json_reply([], headers=(("X-Docker-Endpoints", peer.host),)))
            peer.on("/v1/repositories/a/b/tags", json_reply({}))
            ran = call(capsys, "copy", f"{here}:1.0", f"v1:{peer.host}/{end}", *flags)
            assert {request.method for request in peer.requests} <= {"GET"}
        assert ran.code == code
        assert words in ran.err

    def test_a_platform_is_not_for_its_verbs(self, capsys: pytest.CaptureFixture[str], old: str) -> None:
        for verb in ("tags", "digest", "config", "history", "layers", "inspect", "validate"):
            code, _, err = call(capsys, verb, old, "--platform", "linux/amd64")
            assert code == 2
            assert "leave out --platform" in err

    @pytest.mark.parametrize("flags", [["--platform", "linux/amd64"], ["--referrers"], ["--no-clobber"], ["--dry-run"]])
    def test_nor_are_these_for_a_directory(
        self, capsys: pytest.CaptureFixture[str], old: str, flags: list[str]
    ) -> None:
        assert call(capsys, "pull", old, "directory", *flags).code == 2
        assert not Path("directory").exists()


class TestTag:
    @pytest.mark.parametrize("kind", KINDS)
    def test_more_tags_name_the_same(self, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
        names = ["shop:2.0", "shop:3.0"] if kind == "docker-archive" else ["2.0", "3.0"]
        with place(kind, tmp_path) as where:
            wanted = digest(where + named(kind))
            assert call(capsys, "tag", where + named(kind), *names)[:2] == (0, f"{wanted}\n")
            assert [digest(f"{where}:{name}") for name in names] == [wanted, wanted]

    @pytest.mark.parametrize("kind", ["registry", "oci"])
    def test_untag_leaves_the_others(self, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str) -> None:
        with place(kind, tmp_path) as where:
            call(capsys, "tag", f"{where}:1.0", "2.0")
            assert call(capsys, "untag", f"{where}:1.0") == (0, "", "")
            assert call(capsys, "tags", where).out == "2.0\n"
            assert call(capsys, "untag", f"{where}:1.0").code == 3

    @pytest.mark.parametrize("kind", ["registry", "oci"])
    def test_delete_takes_a_manifest_with_its_tags_and_a_blob(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
    ) -> None:
        with place(kind, tmp_path) as where:
            wanted = digest(f"{where}:1.0")
            assert call(capsys, "delete", f"{where}@{wanted}") == (0, f"{wanted}\n", "")
            assert call(capsys, "tags", where).out == ""
            blob = digest_of(LAYERS[1])
            assert call(capsys, "delete", f"{where}@{blob}") == (0, f"{blob}\n", "")
            assert call(capsys, "delete", f"{where}@{blob}").code == 3

    def test_as_json(self, capsys: pytest.CaptureFixture[str], here: str) -> None:
        wanted = digest(f"{here}:1.0")
        location = f"{here}:1.0"
        shown = json.loads(call(capsys, "tag", location, "2", "3", "--json").out)
        assert shown == {"location": location, "digest": wanted, "tags": ["2", "3"]}
        shown = json.loads(call(capsys, "delete", f"{here}@{wanted}", "--json").out)
        assert list(shown) == ["location", "digest", "media_type", "size"]
        assert shown["digest"] == wanted

    @pytest.mark.parametrize("verb", ["untag", "delete"])
    @pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
    def test_an_archive_lets_nothing_go(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, verb: str
    ) -> None:
        with place(kind, tmp_path) as where:
            location = where + named(kind) if verb == "untag" else f"{where}@{digest_of(LAYERS[0])}"
            code, _, err = call(capsys, verb, location)
        assert code == 1
        assert "Copy what should stay to a new archive" in err

    @pytest.mark.parametrize(
        ("verb", "location"),
        [
            ("delete", "oci:here:1.0"),
            ("delete", "h/a:1"),
            ("untag", "oci:here"),
            ("untag", "h/a@sha256:" + "0" * 64),
            ("untag", "h:1/a"),
        ],
    )
    def test_what_names_nothing_to_remove_is_2(
        self, capsys: pytest.CaptureFixture[str], here: str, verb: str, location: str
    ) -> None:
        code, _, err = call(capsys, verb, location)
        assert code == 2
        assert f"{location} " in err
