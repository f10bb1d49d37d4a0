"""Into the original v1 server and out of it, and then read by tools that nobody here wrote."""

import gzip
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dockless import v1
from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import digest_of
from dockless.model.documents import Manifest, make_document, parse_document
from dockless.model.errors import CopyFault, LocalFault
from dockless.model.events import BlobFinished, BlobStarted, Event
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST
from dockless.model.v1_synthesis import EMPTY_LAYER
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.ops.copy import copy
from dockless.stores.base import Readable
from dockless.stores.memory import MemoryStore
from dockless.stores.oci_layout import OciLayout
from dockless.stores.registry.client import RegistryClient
from dockless.stores.v1.journal import Journal
from dockless.stores.v1.push import V1Upload
from dockless.stores.v1.registry import V1Index
from dockless.stores.v1.view import V1View
from dockless.testing.contract import given, got
from dockless.testing.images import MadeImage, make_image
from dockless.wire.stream import Reader
from tests.debian_registry import DebianRegistry
from tests.original import OriginalServer, token_pair
from tests.require import absent

NAME = "library/demo"
BASE = {f"usr/file-{number}": hashlib.sha256(b"%d" % number).digest() * 3000 for number in range(4)}
IMAGES = make_image(BASE, {}, {"etc/motd": b"hello\n", "usr/.wh.file-1": b""}, {}, {"a": b"a" * 9000}, compress=True)


@pytest.fixture(scope="module", name="server")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OriginalServer]:
    with OriginalServer(tmp_path_factory.mktemp("v1")) as server:
        server.push(IMAGES, NAME, ["1.0"])
        yield server


@pytest.fixture(name="session")
def talking() -> Iterator[Session]:
    session = Session(Settings())
    yield session
    session.close()


def image_of_oci(store: MemoryStore, name: str) -> Descriptor:
    """Put an image into a store that no v1 ever saw: with empty layers of both kinds, packed and not."""
    tars = [gzip.decompress(image.layer) for image in with_files()]
    contents = (IMAGES[4].layer, EMPTY_LAYER, tars[1], IMAGES[0].layer)
    layers = [describe(one, OCI_LAYER if one in tars or one == EMPTY_LAYER else OCI_LAYER_GZIP) for one in contents]
    diff_ids = [digest_of(one) for one in (tars[0], EMPTY_LAYER, tars[1], tars[2])]
    config = json.dumps(
        {
            "created": "2024-05-06T07:08:09.123456789Z",
            "author": "me",
            "architecture": "arm64",
            "variant": "v8",
            "os": "linux",
            "config": {"Env": ["A=b"], "Entrypoint": ["/a"], "Labels": {"k": "v"}, "StopSignal": "SIGTERM"},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [
                {"created": "2024-05-06T07:08:09Z", "created_by": f"ADD {name} # buildkit", "comment": "first"},
                {"created_by": "ENV A=b", "empty_layer": True},
                {"created_by": "WORKDIR /"},
                {"created_by": "RUN /bin/sh -c echo  two   spaces"},
                {"created_by": 'ENTRYPOINT ["/a"]', "empty_layer": True},
                {"created": "2024-05-06T07:08:09.123456789Z", "created_by": "COPY a /"},
            ],
        }
    ).encode()
    described = describe(config, OCI_CONFIG)
    manifest, raw = make_document(
        {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": layers}
    )
    for wanted, content in (*zip(layers, contents, strict=True), (described, config), (manifest, raw)):
        store.push(wanted, given(content))
    store.tag(manifest, "start")
    return manifest


def image_in(store: Readable, name: str) -> tuple[Manifest, dict[str, Any]]:
    found = store.resolve(name)
    manifest = parse_document(found, got(store, found))
    assert isinstance(manifest, Manifest)
    config: dict[str, Any] = json.loads(got(store, manifest.config))
    return manifest, config


def texts(config: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(step.get("created_by"), step.get("comment"), bool(step.get("empty_layer"))) for step in config["history"]]


def test_an_image_that_goes_to_v1_comes_back_with_its_layers(
    server: OriginalServer, session: Session, tmp_path: Path
) -> None:
    start = MemoryStore()
    pushed = image_of_oci(start, "there")
    index = V1Index(session, server.url)
    copy(start, "start", V1Upload(index, "team/there"), "1")

    back = OciLayout(tmp_path / "layout")
    copy(V1View(index.repository("team/there"), back), "1", back)

    before, old = image_in(start, "start")
    after, new = image_in(back, "1")
    assert after.layers == before.layers
    assert [got(back, one) for one in after.layers] == [got(start, one) for one in before.layers]
    assert after.descriptor != pushed
    assert texts(new) == texts(old)
    for field in ("created", "author", "architecture", "variant", "os", "config", "rootfs"):
        assert new[field] == old[field]

    # What v1 made of it stays as it is, however often it goes there.
    copy(back, "1", V1Upload(index, "team/again"), "1")
    again = MemoryStore()
    copied = copy(V1View(index.repository("team/again"), again), "1", again)
    assert copied.root == after.descriptor


def test_what_was_pushed_is_read_by_the_client_of_v1(server: OriginalServer, session: Session, tmp_path: Path) -> None:
    start = MemoryStore()
    image_of_oci(start, "client")
    upload = V1Upload(V1Index(session, server.url), "team/client")
    copy(start, "start", upload, "1")
    upload.tag(start.resolve("start"), "latest")

    with v1.get_image("team/client", server.url) as image:
        assert sorted(image.tags()) == ["1", "latest"]
        pulled = image.download_image("1", tmp_path / "directory")
        config = image.metadata("1")
    assert (len(pulled.ids), pulled.unverified) == (6, ())
    assert (config.architecture, config.author) == ("arm64", "me")
    listed = json.loads(server.request("GET", "/v1/repositories/team/client/images").body)
    assert {one["id"] for one in listed} == set(pulled.ids)
    assert all(one["checksum"].startswith("sha256:") for one in listed)


def test_what_is_there_is_not_sent_again(server: OriginalServer, session: Session) -> None:
    start = MemoryStore()
    image_of_oci(start, "twice")
    index = V1Index(session, server.url)
    events: list[Event] = []
    copy(start, "start", V1Upload(index, "team/twice"), "1")
    copy(start, "start", V1Upload(index, "team/twice", events.append), "2")

    assert {event.verified for event in events if isinstance(event, BlobFinished)} == {None}
    assert set(index.repository("team/twice").tags()) == {"1", "2"}


def test_a_push_that_broke_off_is_taken_up_again(server: OriginalServer, session: Session) -> None:
    start = MemoryStore()
    image_of_oci(start, "broken")
    manifest, _ = image_in(start, "start")
    third = got(start, manifest.layers[2])
    start.delete(manifest.layers[2])
    index = V1Index(session, server.url)
    with pytest.raises(CopyFault, match="not in memory") as raised:
        copy(start, "start", V1Upload(index, "team/broken"), "1")

    assert (raised.value.side, raised.value.descriptor) == ("source", manifest.layers[2])

    start.push(manifest.layers[2], given(third))
    copy(start, "start", V1Upload(index, "team/broken"), "1")

    back = MemoryStore()
    copy(V1View(index.repository("team/broken"), back), "1", back)
    assert image_in(back, "1")[0].layers == manifest.layers


def test_an_image_goes_through_the_index_to_its_registry(tmp_path: Path, session: Session) -> None:
    with token_pair(tmp_path) as (index, registry):
        start = MemoryStore()
        content = gzip.compress(b"content", mtime=0)
        layer, config = describe(content, OCI_LAYER_GZIP), describe(b"{}", OCI_CONFIG)
        manifest, raw = make_document(
            {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}
        )
        for wanted, given_ in ((layer, content), (config, b"{}"), (manifest, raw)):
            start.push(wanted, given(given_))
        upload = V1Upload(V1Index(session, index.url), NAME)
        copy(start, manifest.digest, upload, "1")

        repository = V1Index(session, index.url).repository(NAME)
        assert repository.endpoints == (registry.host,)
        back = MemoryStore()
        copy(V1View(repository, back), "1", back)
        assert image_in(back, "1")[0].layers == (layer,)


def test_a_full_destination_is_not_the_source_s_fault(server: OriginalServer, session: Session) -> None:
    class Full(MemoryStore):
        def ingest(self, media_type: str, reader: Reader) -> Descriptor:
            raise LocalFault("no room")

    into = Full()
    with pytest.raises(CopyFault, match=r"^destination: no room"):
        copy(V1View(V1Index(session, server.url).repository(NAME), into), "1.0", into)


def test_the_digest_is_the_same_in_every_place(server: OriginalServer, session: Session, tmp_path: Path) -> None:
    repository = V1Index(session, server.url).repository(NAME)
    memory, layout = MemoryStore(), OciLayout(tmp_path / "layout")
    roots = {copy(V1View(repository, into), "1.0", into, "x").root.digest for into in (memory, layout)}

    assert len(roots) == 1
    assert image_in(memory, "x") == image_in(layout, "x")


def test_an_image_goes_straight_into_a_registry_of_v2(server: OriginalServer, session: Session, tmp_path: Path) -> None:
    whole = MemoryStore()
    repository = V1Index(session, server.url).repository(NAME)
    root = copy(V1View(repository, whole), "1.0", whole).root
    with DebianRegistry(tmp_path) as debian:
        into = RegistryClient(session, debian.url, None).repository("team/demo")
        assert copy(V1View(repository, into), "1.0", into).root == root
        inspected = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{debian.url[7:]}/team/demo:1.0"))
    assert inspected["Digest"] == root.digest
    assert inspected["Layers"] == [digest_of(image.layer) for image in with_files()]


MIGRATION = """
import sys, time
from pathlib import Path
from dockless.model.events import BlobFinished
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.stores.oci_layout import OciLayout
from dockless.stores.v1.journal import Journal
from dockless.stores.v1.registry import V1Index
from dockless.stores.v1.view import V1View

url, name, directory = sys.argv[1:]

def observe(event):
    if isinstance(event, BlobFinished):
        print(event.blob, flush=True)
        if event.blob == sys.stdin.readline().strip():
            time.sleep(60)

repository = V1Index(Session(Settings()), url).repository(name)
into = OciLayout(Path(directory, "layout"))
V1View(repository, into, Journal(Path(directory, "journal")), observe, jobs=1).resolve("1.0")
"""


def test_a_migration_that_was_killed_reads_only_what_is_missing(
    server: OriginalServer, session: Session, tmp_path: Path
) -> None:
    last = IMAGES[2].id
    arguments = [sys.executable, "-c", MIGRATION, server.url, NAME, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        finished: list[str] = []
        while not finished or finished[-1] != last:
            process.stdin.write(f"{last}\n")
            process.stdin.flush()
            finished.append(process.stdout.readline().strip())
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert finished == [image.id for image in IMAGES[:1:-1]]

    events: list[Event] = []
    into = OciLayout(tmp_path / "layout")
    repository = V1Index(session, server.url).repository(NAME)
    root = copy(V1View(repository, into, Journal(tmp_path / "journal"), events.append), "1.0", into).root

    present = {event.blob for event in events if isinstance(event, BlobFinished) and event.verified is None}
    begun = {event.blob for event in events if isinstance(event, BlobStarted)}
    assert present == {IMAGES[4].id, IMAGES[2].id}
    assert begun == {IMAGES[3].id, IMAGES[1].id, IMAGES[0].id}  # two of them hold nothing
    whole = MemoryStore()
    assert copy(V1View(repository, whole), "1.0", whole).root == root


@pytest.fixture(name="layout")
def migrated(server: OriginalServer, session: Session, tmp_path: Path) -> Path:
    into = OciLayout(tmp_path / "layout")
    copy(V1View(V1Index(session, server.url).repository(NAME), into), "1.0", into)
    return tmp_path / "layout"


def skopeo(*arguments: str) -> bytes:
    if shutil.which("skopeo") is None:
        absent("skopeo")
    return subprocess.run(["skopeo", *arguments], check=True, capture_output=True, timeout=60).stdout


def with_files() -> list[MadeImage]:
    """Return the images whose layers hold something, base first."""
    return [IMAGES[4], IMAGES[2], IMAGES[0]]


def test_skopeo_reads_what_became_of_an_image(layout: Path) -> None:
    inspected = json.loads(skopeo("inspect", f"oci:{layout}:1.0"))
    newest = json.loads(IMAGES[0].raw)

    assert (inspected["Os"], inspected["Architecture"], inspected["Created"]) == ("linux", "amd64", newest["created"])
    assert inspected["Layers"] == [digest_of(image.layer) for image in with_files()]
    assert inspected["Env"] == newest["config"]["Env"]
    assert inspected["Labels"] == newest["config"]["Labels"]


def test_skopeo_makes_an_archive_of_it_with_the_same_history_and_diff_ids(layout: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    skopeo("copy", f"oci:{layout}:1.0", f"docker-archive:{archive}:demo:1.0")

    with tarfile.open(archive) as tar:

        def member(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        (entry,) = json.loads(member("manifest.json"))
        config = json.loads(member(entry["Config"]))
        layers = [member(name) for name in entry["Layers"]]
    jsons = [json.loads(image.raw) for image in reversed(IMAGES)]
    assert [step["created_by"] for step in config["history"]] == [
        " ".join(one["container_config"]["Cmd"]) for one in jsons
    ]
    assert [step["created"] for step in config["history"]] == [one["created"] for one in jsons]
    assert [bool(step.get("empty_layer")) for step in config["history"]] == [False, True, False, True, False]
    unpacked = [gzip.decompress(image.layer) for image in with_files()]
    assert layers == unpacked
    assert config["rootfs"]["diff_ids"] == [digest_of(one) for one in unpacked]
    assert (config["config"]["Cmd"], config["config"]["Entrypoint"]) == (["world"], ["/usr/bin/demo"])


def test_umoci_unpacks_it(layout: Path, tmp_path: Path) -> None:
    if shutil.which("umoci") is None:
        absent("umoci")
    bundle = tmp_path / "bundle"
    command = ["umoci", "unpack", "--rootless", "--image", f"{layout}:1.0", str(bundle)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    files = {str(path.relative_to(bundle / "rootfs")) for path in (bundle / "rootfs").rglob("*") if path.is_file()}
    assert files == {"usr/file-0", "usr/file-2", "usr/file-3", "etc/motd", "a"}
