"""Places from locations: what is shared, what is kept apart, and what is left behind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.errors import InvalidReference, LocalFault, NotFound
from dockless.model.events import Event, Notice, Retrying
from dockless.model.location import V1Location, parse_location
from dockless.net.settings import Settings
from dockless.stores.base import Mounter, Store
from dockless.stores.oci_layout import OciLayout
from dockless.stores.open import Places
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.contract import image, put
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Reply, json_reply
from dockless.wire.auth import Credential
from tests.faces.command import at, registry
from tests.scripted import QUICK

ANN = Credential("ann", "s3cret")
DIGEST = "sha256:" + "0" * 64
IMAGES = make_image({"a": b"1"})


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    places = Places(QUICK, {}, tmp_path / "cache")
    yield places
    places.close()


def where(text: str) -> V1Location:
    found = parse_location(text)
    assert isinstance(found, V1Location)
    return found


@pytest.mark.parametrize(
    ("registry", "settings", "url"),
    [
        ("127.0.0.1:5000", {}, "http://127.0.0.1:5000"),
        ("localhost", {}, "http://localhost"),
        ("[::1]:5000", {}, "http://[::1]:5000"),
        ("localhost", {"insecure": True}, "https://localhost"),
        ("localhost", {"ca_file": "x"}, "https://localhost"),
        ("localhost", {"ca_file": "x", "plain_http": True}, "http://localhost"),
        ("registry.example", {}, "https://registry.example"),
        ("registry.example:5000", {"plain_http": True}, "http://registry.example:5000"),
        ("localhost.example", {}, "https://localhost.example"),
    ],
)
def test_where_a_registry_is(registry: str, settings: dict[str, object], url: str) -> None:
    assert msgspec.structs.replace(Settings(), **settings).url(registry) == url


class TestRegistries:
    def test_one_client_for_all_places_of_a_registry(self, places: Places) -> None:
        with EmbeddedRegistry(MemoryRepositories()) as server:
            assert places.registry(server.host) is places.registry(server.host)
            with (
                places.destination(parse_location(f"{server.host}/a")) as one,
                places.source(parse_location(f"{server.host}/a")) as source,
                places.destination(parse_location(f"{server.host}/b")) as other,
            ):
                found = image(one)
                layer = put(one, b"a layer")
                assert isinstance(other, Mounter)
                assert other.mount(layer, source)
                assert source.exists(found)

    def test_many_threads_get_the_same_one(self, places: Places) -> None:
        found = []
        threads = [threading.Thread(target=lambda: found.append(places.registry("h.example"))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(map(id, found))) == 1

    @pytest.mark.parametrize("named", ["docker.io", "index.docker.io", "registry-1.docker.io", "Docker.io"])
    def test_docker_hub_has_one_account_under_all_its_names(self, named: str) -> None:
        places = Places(QUICK, {named: ANN}, None)
        assert [places._credential(one) for one in ("docker.io", "index.docker.io", "evil.example")] == [ANN, ANN, None]

    def test_a_credential_goes_to_its_registry_alone(self) -> None:
        with Peer() as one, Peer() as other:
            places = Places(QUICK, {one.host: ANN}, None)
            for peer in (one, other):
                peer.on("/v1/repositories/a/images", json_reply([], headers=(("X-Docker-Endpoints", peer.host),)))
                places.v1_repository(where(f"v1:{peer.host}/a"))
            places.close()
            assert one.requests[0].header("Authorization") == ANN.basic
            assert other.requests[0].header("Authorization") is None


class TestEvents:
    def test_a_place_tells_of_retries_and_notices_and_of_no_progress(self, tmp_path: Path) -> None:
        events: list[Event] = []
        places = Places(QUICK, {}, None, events.append)
        with Peer() as peer:
            peer.on("/v2/a/tags/list", Reply(503), json_reply({"name": "a", "tags": []}))
            with places.source(parse_location(f"{peer.host}/a")) as repository:
                assert list(repository.tags()) == []  # type: ignore[attr-defined]
        with places.destination(parse_location(f"oci:{tmp_path}")) as layout:
            put(layout, b"a layer")
        places.close()
        assert [type(event) for event in events] == [Retrying]
        places._told(Notice("hear, hear"))
        assert events[-1] == Notice("hear, hear")


@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
class TestArchives:
    def test_one_appears_when_its_block_ends(self, places: Places, tmp_path: Path, kind: str) -> None:
        location = parse_location(f"{kind}:{tmp_path / 'a.tar'}")
        with places.destination(location) as store:
            found = image(store)
            store.tag(found, "a:1")
            assert not (tmp_path / "a.tar").exists()
        with places.source(location) as archive:
            assert archive.resolve("a:1") == found

    def test_one_that_failed_does_not(self, places: Places, tmp_path: Path, kind: str) -> None:
        def fail(store: Store) -> None:
            store.tag(image(store), "a:1")
            raise LocalFault("no")

        with (
            pytest.raises(LocalFault, match="no"),
            places.destination(parse_location(f"{kind}:{tmp_path / 'a.tar'}")) as store,
        ):
            fail(store)
        assert list(tmp_path.glob("*.tar")) == []

    def test_what_is_not_there_is_not_found(self, places: Places, tmp_path: Path, kind: str) -> None:
        with pytest.raises(NotFound), places.source(parse_location(f"{kind}:{tmp_path / 'a.tar'}")):
            pass


class TestV1:
    def test_a_destination_that_can_takes_the_layers_at_once(self, places: Places, tmp_path: Path) -> None:
        layout = OciLayout(tmp_path / "layout")
        with registry(*IMAGES) as peer, places.source(where(at(peer)), layout) as view:
            found = view.resolve("latest")
            assert sum(path.is_file() for path in (layout.path / "blobs" / "sha256").iterdir()) == 1
            assert not (tmp_path / "cache" / "spool").exists()
            assert view.exists(found)

    def test_else_they_are_in_a_spool_until_the_block_ends(self, places: Places, tmp_path: Path) -> None:
        with registry(*IMAGES) as peer:
            with places.source(where(at(peer))) as view:
                view.resolve("latest")
                (spool,) = [path for path in (tmp_path / "cache" / "spool").iterdir() if path.is_dir()]
            assert not spool.exists()
            with pytest.raises(NotFound), places.source(where(at(peer))) as view:
                assert [view.resolve(tag).size for tag in ("latest", "nonsense")]
            assert spool.exists()  # for the next try

    def test_one_at_a_time_has_a_spool(self, places: Places, tmp_path: Path) -> None:
        events: list[Event] = []
        other = Places(QUICK, {}, tmp_path / "cache", events.append)
        seen = threading.Event()
        with registry(*IMAGES) as peer:

            def second() -> None:
                with other.source(where(at(peer))) as view:
                    view.resolve("latest")
                    seen.set()

            thread = threading.Thread(target=second)
            with places.source(where(at(peer))) as view:
                view.resolve("latest")
                thread.start()
                assert not seen.wait(0.3)
            thread.join(20)
        assert seen.is_set()
        other.close()

    def test_a_registry_is_no_repository(self, places: Places) -> None:
        with pytest.raises(InvalidReference, match="names no repository"):
            places.v1_repository(where("v1:h.example/"))
        with pytest.raises(InvalidReference), places.destination(where("v1:h.example/")):
            pass

    def test_a_cache_that_is_a_file_is_a_local_fault(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("mine")
        places = Places(QUICK, {}, tmp_path / "cache")
        with registry(*IMAGES) as peer, pytest.raises(LocalFault), places.source(where(at(peer))):
            pass
        places.close()
