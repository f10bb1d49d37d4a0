"""Pushing into Debian's docker-registry, and reading back with Debian's skopeo."""

import json
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import make_document
from dockless.model.errors import NotFound, RemoteFault, Unsupported
from dockless.model.events import Retrying
from dockless.model.media_types import OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from dockless.model.referrers import fallback_tag
from dockless.stores.registry.push import mount
from dockless.stores.registry.repository import Repository
from dockless.testing.contract import given, got, image, put
from dockless.testing.peer import Listener, hang_up
from dockless.wire.stream import BytesReader
from tests.debian_registry import DebianRegistry
from tests.flaky_registry import Given, client_of
from tests.require import absent

BIG = random.Random(5).randbytes(20 << 20)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    with DebianRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def repository(registry: DebianRegistry) -> Iterator[Repository]:
    """A repository with nothing in it."""
    with client_of(registry.url) as client:
        yield client.repository(f"pushed/{uuid4().hex}")


def skopeo(*arguments: str) -> str:
    program = shutil.which("skopeo") or absent("skopeo: no such program")
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


def raw_by_skopeo(repository: Repository, name: str) -> bytes:
    place = f"docker://{repository.client.host}/{repository.name}:{name}"
    return skopeo("inspect", "--tls-verify=false", "--raw", place).encode()


def test_what_was_pushed_is_read_by_skopeo(repository: Repository, tmp_path: Path) -> None:
    layer = put(repository, BIG)
    rootfs = {"type": "layers", "diff_ids": [layer.digest]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode()
    body = {"config": put(repository, config, OCI_CONFIG), "layers": [layer]}
    wanted, raw = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, **body})
    repository.push(wanted, given(raw))
    repository.tag(wanted, "1.0")
    assert raw_by_skopeo(repository, "1.0") == raw
    place = f"docker://{repository.client.host}/{repository.name}:1.0"
    skopeo("copy", "--src-tls-verify=false", "--preserve-digests", place, f"oci:{tmp_path / 'layout'}:1.0")
    algorithm, _, encoded = layer.digest.partition(":")
    assert (tmp_path / "layout" / "blobs" / algorithm / encoded).read_bytes() == BIG


def test_a_registry_that_does_not_know_of_several_tags_at_once_gets_them_all(repository: Repository) -> None:
    wanted = image(repository)
    repository.tag_all(wanted, ["1.0", "1", "latest"])
    assert sorted(repository.tags()) == ["1", "1.0", "latest"]
    assert {repository.resolve(name).digest for name in repository.tags()} == {wanted.digest}


def test_an_index_is_read_by_skopeo(repository: Repository) -> None:
    images = [image(repository), image(repository, b"another layer")]
    index, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": images})
    repository.push(index, given(raw))
    repository.tag(index, "all")
    assert raw_by_skopeo(repository, "all") == raw


def test_what_has_no_digest_yet_arrives_in_pieces(repository: Repository) -> None:
    wanted = repository.ingest(OCI_LAYER, BytesReader(BIG))
    assert wanted == describe(BIG, OCI_LAYER)
    assert got(repository, wanted) == BIG


def test_a_blob_is_mounted_from_another_repository(repository: Repository) -> None:
    wanted = put(repository, b"mount me")
    other = repository.client.repository(f"{repository.name}/other")
    assert not other.exists(wanted)
    assert not mount(repository.client, other.name, describe(b"never there", OCI_LAYER), repository.name)
    assert other.mount(wanted, repository)
    assert got(other, wanted) == b"mount me"


def test_a_manifest_whose_blobs_are_not_there_names_them(repository: Repository) -> None:
    there, missing = put(repository, b"{}", OCI_CONFIG), describe(b"missing", OCI_LAYER)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": there, "layers": [missing]}
    wanted, raw = make_document(body)
    with pytest.raises(RemoteFault, match=missing.digest) as caught:
        repository.push(wanted, given(raw))
    assert caught.value.codes == ("MANIFEST_BLOB_UNKNOWN",)
    assert there.digest not in str(caught.value)


def test_a_manifest_as_large_as_registries_should_take_arrives(repository: Repository) -> None:
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"a": "x" * 4_000_000}}
    wanted, raw = make_document(body)
    repository.push(wanted, given(raw))
    repository.tag(wanted, "1.0")
    assert repository.fetch_named("1.0") == (wanted, raw)


def test_a_manifest_that_is_too_large_is_told_so(repository: Repository) -> None:
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"a": "x" * (5 << 20)}}
    wanted, raw = make_document(body)
    with pytest.raises(RemoteFault) as caught:
        repository.push(wanted, given(raw))
    assert f"{len(raw)} bytes" in caught.value.hint


# --- Cuts -------------------------------------------------------------------------------------------------------------


class Cutting(Listener):
    """Stands before a server, and resets each of the first connections that bring so many bytes, after them."""

    def __init__(self, host: str, *limits: int) -> None:
        address, _, port = host.rpartition(":")
        self._server = (address, int(port))
        self.limits = list(limits)
        self.cuts: list[int] = []
        super().__init__("127.0.0.1", None)

    def talk(self, connection: socket.socket, number: int) -> None:
        """Pass on what comes, both ways."""
        with socket.create_connection(self._server) as server:
            self.end_with_close(server)
            back = ThreadPoolExecutor(1)
            back.submit(self._pass_on, server, connection)
            passed = 0
            while data := connection.recv(1 << 16):
                passed += len(data)
                if self.limits and passed >= self.limits[0]:
                    self.cuts.append(self.limits.pop(0))
                    break
                server.sendall(data)
            hang_up(server)
            hang_up(connection)
            back.shutdown()

    def _pass_on(self, server: socket.socket, connection: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                connection.sendall(data)


def test_a_cut_upload_arrives_all_the_same(registry: DebianRegistry) -> None:
    told: list[Any] = []
    with Cutting(registry.host, 5 << 20, 9 << 20) as between, client_of(between.url, observe=told.append) as client:
        repository = client.repository(f"cut/{uuid4().hex}")
        repository.push(describe(BIG, OCI_LAYER), Given(BIG))
        assert between.cuts == [5 << 20, 9 << 20]
        assert got(repository, describe(BIG, OCI_LAYER)) == BIG
    assert [type(one) for one in told] == [Retrying, Retrying]


# --- Referrers --------------------------------------------------------------------------------------------------------


def referrer(repository: Repository, subject: Descriptor, kind: str) -> Descriptor:
    empty = put(repository, b"{}", OCI_EMPTY)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "config": empty, "layers": [empty]}
    made, raw = make_document({**body, "subject": subject})
    repository.push(made, given(raw))
    return made


def test_referrers_are_kept_under_the_fallback_tag_and_leave_it(repository: Repository) -> None:
    subject = image(repository)
    one, two = (referrer(repository, subject, kind) for kind in ("a/one", "a/two"))
    assert list(repository.predecessors(subject)) == [one, two]
    listed = json.loads(raw_by_skopeo(repository, fallback_tag(subject.digest)))
    assert [(entry["digest"], entry["artifactType"]) for entry in listed["manifests"]] == [
        (one.digest, "a/one"),
        (two.digest, "a/two"),
    ]
    repository.delete(one)
    assert list(repository.predecessors(subject)) == [two]
    repository.delete(two)
    assert list(repository.predecessors(subject)) == []


def test_many_referrers_at_once_are_all_listed(repository: Repository) -> None:
    subject = image(repository)
    with ThreadPoolExecutor(8) as pool:
        kinds = [f"a/number{number}" for number in range(16)]
        made = set(pool.map(partial(referrer, repository, subject), kinds))
    assert set(repository.predecessors(subject)) == made
    assert len(made) == 16


# --- Deleting ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def undeletable(tmp_path: Path) -> Iterator[Repository]:
    """A repository of a registry that deletes nothing, as they are unless told otherwise."""
    config = {"storage": {"delete": {"enabled": False}}}
    with DebianRegistry(tmp_path / "registry", **config) as running, client_of(running.url) as client:
        yield client.repository("a/b")


def tagged(repository: Repository, *, is_index: bool) -> Descriptor:
    wanted = image(repository)
    if is_index:
        wanted, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [wanted]})
        repository.push(wanted, given(raw))
    for name in ("old", "new", "newest"):
        repository.tag(wanted, name)
    return wanted


@pytest.mark.parametrize("is_index", [False, True], ids=["manifest", "index"])
def test_removing_a_tag_never_removes_its_siblings(repository: Repository, is_index: bool) -> None:
    wanted = tagged(repository, is_index=is_index)
    repository.untag("old")
    assert sorted(repository.tags()) == ["new", "newest"]
    for name in ("new", "newest", wanted.digest):
        assert repository.resolve(name) == wanted
    assert describe(raw_by_skopeo(repository, "new"), wanted.media_type) == wanted
    for name in ("old", "never"):
        with pytest.raises(NotFound):
            repository.untag(name)


@pytest.mark.parametrize("is_index", [False, True], ids=["manifest", "index"])
def test_a_tag_stays_where_nothing_can_be_deleted(undeletable: Repository, is_index: bool) -> None:
    wanted = tagged(undeletable, is_index=is_index)
    with pytest.raises(Unsupported) as caught:
        undeletable.untag("old")
    assert "storage.delete.enabled" in caught.value.hint
    assert sorted(undeletable.tags()) == ["new", "newest", "old"]
    for name in ("old", "new", "newest"):
        assert undeletable.resolve(name) == wanted
    assert describe(raw_by_skopeo(undeletable, "old"), wanted.media_type) == wanted


def test_nothing_is_deleted_where_that_is_not_enabled(undeletable: Repository) -> None:
    for target in (image(undeletable), put(undeletable, b"a blob")):
        with pytest.raises(Unsupported, match="405") as caught:
            undeletable.delete(target)
        assert "storage.delete.enabled" in caught.value.hint
        assert undeletable.exists(target)


def test_manifests_and_blobs_are_deleted(repository: Repository) -> None:
    wanted, blob = image(repository), put(repository, os.urandom(100))
    repository.tag(wanted, "1.0")
    for target in (wanted, blob):
        repository.delete(target)
        assert not repository.exists(target)
        with pytest.raises(NotFound):
            repository.delete(target)
    with pytest.raises(NotFound):
        repository.resolve("1.0")
