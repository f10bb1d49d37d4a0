"""Docker's schema 1 as skopeo writes it and Debian's docker-registry serves it, made an image of today's kind."""

import gzip
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.model.descriptor import Descriptor
from dockless.model.media_types import DOCKER_SCHEMA1_SIGNED, OCI_CONFIG, OCI_LAYER_GZIP, OCI_MANIFEST
from dockless.model.schema1 import parse_schema1
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.ops.copy import copy
from dockless.ops.image import open_image
from dockless.ops.validate import validate
from dockless.stores.memory import MemoryStore
from dockless.stores.registry.client import RegistryClient
from dockless.stores.registry.repository import Repository
from dockless.testing.contract import put
from dockless.testing.images import demo_images
from tests.debian_registry import DebianRegistry
from tests.graphs import document
from tests.require import absent

LAYERS = [one.layer for one in reversed(demo_images())]
DIFF_IDS = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in LAYERS]
STEPS = [
    {"created": "2020-01-01T00:00:00Z", "created_by": "ADD base"},
    {"created": "2020-01-01T00:00:01Z", "created_by": "ADD library"},
    {"created": "2020-01-01T00:00:02Z", "created_by": "ENV A=b", "empty_layer": True},
    {"created": "2020-01-01T00:00:03Z", "created_by": "ADD application"},
]
CONFIG = {
    "architecture": "arm64",
    "os": "linux",
    "created": "2020-01-01T00:00:03Z",
    "author": "someone",
    "config": {"Env": ["A=b"], "Cmd": ["demo"], "Labels": {"a": "b"}},
    "rootfs": {"type": "layers", "diff_ids": DIFF_IDS},
    "history": STEPS,
}


def skopeo(*arguments: str) -> str:
    program = shutil.which("skopeo")
    if program is None:
        absent("skopeo: no such program")
    command = [program, "--insecure-policy", *arguments]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def made_image() -> tuple[MemoryStore, Descriptor]:
    """Return an image of three layers, and a step that made none, in memory."""
    store = MemoryStore()
    config = put(store, json.dumps(CONFIG).encode(), OCI_CONFIG)
    layers = [put(store, gzip.compress(layer, mtime=0), OCI_LAYER_GZIP) for layer in LAYERS]
    return store, document(store, OCI_MANIFEST, config=config, layers=layers)


def write_directory(directory: Path) -> None:
    """Write the image as skopeo's `dir:` has it."""
    store, image = made_image()
    manifest = bytes(store.fetch(image).read_chunk())
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(manifest)
    body = json.loads(manifest)
    for one in [body["config"], *body["layers"]]:
        blob = Descriptor(one["mediaType"], one["digest"], one["size"])
        (directory / one["digest"].partition(":")[2]).write_bytes(store.fetch(blob).read_chunk())


@pytest.fixture(scope="module", name="registry")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    root = tmp_path_factory.mktemp("schema1")
    write_directory(root / "image")
    with DebianRegistry(root / "registry", compatibility={"schema1": {"enabled": True}}) as registry:
        target = f"docker://{registry.host}/demo:old"
        skopeo("copy", "--dest-tls-verify=false", "--format", "v2s1", f"dir:{root / 'image'}", target)
        yield registry


@pytest.fixture(name="repository")
def opened(registry: DebianRegistry) -> Iterator[Repository]:
    session = Session(Settings())
    yield RegistryClient(session, registry.url).repository("demo")
    session.close()


def test_the_digest_is_the_registry_s_though_each_answer_is_signed_anew(repository: Repository) -> None:
    found = repository.resolve("old")
    assert found.media_type == DOCKER_SCHEMA1_SIGNED
    first, second = (bytes(repository.fetch(found).read_chunk()) for _ in range(2))

    assert first != second
    assert [parse_schema1(found, raw).tag for raw in (first, second)] == ["old", "old"]
    assert [layer.throwaway for layer in parse_schema1(found, first).layers] == [False, False, True, False]


def test_a_copy_converts_it_by_tag_and_by_digest(repository: Repository) -> None:
    digest = repository.resolve("old").digest
    destination = MemoryStore()
    by_tag, by_digest = (copy(repository, name, destination, "new") for name in ("old", digest))

    assert by_tag.source_root.digest == by_digest.source_root.digest == digest
    assert by_tag.root == by_digest.root == destination.resolve("new")
    assert validate(destination, "new").ok


def test_it_becomes_the_image_that_it_was_made_from(repository: Repository) -> None:
    found = repository.resolve("old")
    destination = MemoryStore()
    made = copy(repository, found.digest, destination, "").root
    image = open_image(destination, made.digest)

    assert validate(destination, made.digest).ok
    assert [layer.diff_id for layer in image.layers] == DIFF_IDS
    assert [layer.descriptor.digest for layer in image.layers] == [
        f"sha256:{hashlib.sha256(gzip.compress(layer, mtime=0)).hexdigest()}" for layer in LAYERS
    ]
    assert [(step.created_by, step.empty_layer) for step in image.history[:3]] == [
        ("ADD base", False),
        ("ADD library", False),
        ("ENV A=b", True),
    ]
    assert image.config is not None
    assert json.loads(image.config.raw)["config"] == CONFIG["config"]
    assert str(image.platform) == "linux/arm64"


def test_skopeo_reads_what_was_made_and_makes_the_same_of_it(
    repository: Repository, registry: DebianRegistry, tmp_path: Path
) -> None:
    found = repository.resolve("old")
    copy(repository, found.digest, repository, "new")
    ours = json.loads(skopeo("inspect", "--config", "--tls-verify=false", f"docker://{registry.host}/demo:new"))
    source = f"docker://{registry.host}/demo:old"
    skopeo("copy", "--src-tls-verify=false", "--format", "v2s2", source, f"dir:{tmp_path / 'theirs'}")
    manifest = json.loads((tmp_path / "theirs" / "manifest.json").read_bytes())
    theirs = json.loads((tmp_path / "theirs" / manifest["config"]["digest"].partition(":")[2]).read_bytes())

    assert ours["rootfs"] == theirs["rootfs"]
    assert ours["config"] == theirs["config"]
    assert [(step["created"], step.get("empty_layer")) for step in ours["history"]] == [
        (step["created"], step.get("empty_layer")) for step in theirs["history"]
    ]
    raw = json.loads(skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/demo:new"))
    assert [layer["digest"] for layer in raw["layers"]] == [layer["digest"] for layer in manifest["layers"]]
