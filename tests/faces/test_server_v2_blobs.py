"""Blobs of the embedded registry: whole, in part, gone."""

import http.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v2_blobs import part_of
from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.stores.base import Repository
from dockless.stores.memory import MemoryStore
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.contract import put
from tests.asking import ask
from tests.pushing import LAYER, codes, digest, put_blob

SIZE = len(LAYER)


@pytest.fixture
def path(registry: EmbeddedRegistry) -> str:
    return f"/v2/it/has/blobs/{put_blob(registry, 'it/has', LAYER)}"


def test_a_blob_comes_back_as_it_was_put(registry: EmbeddedRegistry, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(registry, path, method)
        assert (answer.status, answer.body) == (200, LAYER if method == "GET" else b"")
        assert answer.headers["Content-Length"] == str(SIZE)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Docker-Content-Digest"] == digest(LAYER)
        assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("content", [b"", b"x", bytes(300_000)])
def test_blobs_of_any_size(registry: EmbeddedRegistry, name: str, content: bytes) -> None:
    put_blob(registry, name, content)
    answer = ask(registry, f"/v2/{name}/blobs/{digest(content)}")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, content, str(len(content)))


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=100-199", 100, 199),
        ("bytes=0-0", 0, 0),
        ("bytes=100-", 100, SIZE - 1),
        ("bytes=-100", SIZE - 100, SIZE - 1),
        ("bytes=-5000", 0, SIZE - 1),
        ("bytes=700-5000", 700, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
    ],
)
def test_a_part(registry: EmbeddedRegistry, path: str, asked: str, first: int, last: int) -> None:
    answer = ask(registry, path, Range=asked)
    assert (answer.status, answer.body) == (206, LAYER[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["Docker-Content-Digest"] == digest(LAYER)


@pytest.mark.parametrize("asked", ["bytes=5000-10000", f"bytes={SIZE}-", "bytes=500-0", "bytes=-0"])
def test_a_part_that_is_not_there(registry: EmbeddedRegistry, path: str, asked: str) -> None:
    answer = ask(registry, path, Range=asked)
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


def test_no_part_of_nothing(registry: EmbeddedRegistry, name: str) -> None:
    put_blob(registry, name, b"")
    assert ask(registry, f"/v2/{name}/blobs/{digest(b'')}", Range="bytes=0-").status == 416


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,4-5", "lines=1-2", "bytes=-", "bytes", "bytes=a-b", "bytes=0-" + "9" * 30, "bytes=\u0660-\u0669"],
)
def test_what_is_no_single_range_of_bytes_is_ignored(registry: EmbeddedRegistry, path: str, asked: str) -> None:
    answer = ask(registry, path, Range=asked.encode().decode("latin-1"))
    assert (answer.status, answer.body) == (200, LAYER)


def test_a_flood_of_ranges_costs_nothing(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path, Range="bytes=" + ",".join(["0-"] * 3000))
    assert (answer.status, answer.body) == (200, LAYER)


def test_a_range_is_for_get(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path, "HEAD", Range="bytes=0-0")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(SIZE))


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d{0,5}-\d{0,5}", fullmatch=True), st.integers(0, 5000))
def test_any_range_is_a_part_or_none(asked: str, size: int) -> None:
    part = part_of(asked, size)
    if part is not None:
        first, last = part
        assert first >= 0
        assert last < max(size, 1)
        assert first > last or len(bytes(size)[first : last + 1]) == last - first + 1


def test_a_blob_that_is_not_there(registry: EmbeddedRegistry, name: str) -> None:
    put_blob(registry, name, LAYER)
    for method in ("GET", "DELETE"):
        answer = ask(registry, f"/v2/{name}/blobs/{digest(b'other')}", method)
        assert (answer.status, codes(answer)) == (404, ["BLOB_UNKNOWN"])
    assert ask(registry, f"/v2/{name}/blobs/{digest(b'other')}", "HEAD").status == 404


def test_a_blob_of_another_repository_is_not_there(registry: EmbeddedRegistry, name: str) -> None:
    put_blob(registry, name, b"mine")
    put_blob(registry, f"{name}/deeper", b"yours")
    assert ask(registry, f"/v2/{name}/blobs/{digest(b'yours')}").status == 404
    assert ask(registry, f"/v2/{name}/deeper/blobs/{digest(b'mine')}").status == 404


def test_deleted_means_gone(registry: EmbeddedRegistry, name: str) -> None:
    path = f"/v2/{name}/blobs/{put_blob(registry, name, LAYER)}"
    assert ask(registry, path, "DELETE").status == 202
    for method in ("GET", "HEAD", "DELETE"):
        assert ask(registry, path, method).status == 404
    put_blob(registry, name, LAYER)
    assert ask(registry, path).body == LAYER


class ShrinkingStore(MemoryStore):
    """A store that has less than it says."""

    def find_blob(self, digest: Digest) -> Descriptor:
        found = super().find_blob(digest)
        return Descriptor(found.media_type, digest, found.size + 1)


class ShrinkingRepositories(MemoryRepositories):
    def open(self, name: str) -> Repository:
        store = ShrinkingStore()
        for content in (LAYER, bytes(300_000)):
            put(store, content)
        return store


@pytest.mark.parametrize("content", [LAYER, bytes(300_000)])
def test_less_than_was_promised_is_no_whole_answer(content: bytes) -> None:
    with EmbeddedRegistry(ShrinkingRepositories()) as registry, pytest.raises(http.client.IncompleteRead) as caught:
        ask(registry, f"/v2/a/blobs/{digest(content)}")
    assert caught.value.partial == content
    assert caught.value.expected == 1
