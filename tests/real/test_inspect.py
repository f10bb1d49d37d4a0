"""What skopeo pushed to Debian's docker-registry, summed up and checked; skopeo's own summary agrees."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.ops.image import inspect
from dockless.ops.tag_table import tag_table
from dockless.ops.validate import validate
from dockless.stores.registry.client import RegistryClient
from dockless.stores.registry.repository import Repository
from tests.debian_registry import DebianRegistry
from tests.real.test_schema1 import CONFIG, DIFF_IDS, skopeo, write_directory

FORMATS = {
    "zstd": ["--format", "oci", "--dest-compress-format", "zstd"],  # first: skopeo packs nothing anew that is there
    "docker": ["--format", "v2s2"],
    "oci": ["--format", "oci"],
}


@pytest.fixture(scope="module", name="registry")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    root = tmp_path_factory.mktemp("inspect")
    write_directory(root / "image")
    with DebianRegistry(root / "registry") as registry:
        for tag, options in FORMATS.items():
            target = f"docker://{registry.host}/demo:{tag}"
            skopeo("copy", "--dest-tls-verify=false", *options, f"dir:{root / 'image'}", target)
        yield registry


@pytest.fixture(name="repository")
def opened(registry: DebianRegistry) -> Iterator[Repository]:
    session = Session(Settings())
    yield RegistryClient(session, registry.url).repository("demo")
    session.close()


@pytest.mark.parametrize("tag", FORMATS)
def test_the_summary_is_skopeo_s(registry: DebianRegistry, repository: Repository, tag: str) -> None:
    ours = inspect(repository, tag)
    theirs = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/demo:{tag}"))

    assert all(layer.media_type.endswith("zstd" if tag == "zstd" else "gzip") for layer in ours.layers)
    assert ours.digest == theirs["Digest"]
    assert ours.created == theirs["Created"]
    assert ours.labels == theirs["Labels"]
    assert list(ours.env or ()) == theirs["Env"]
    assert ours.platform == f"{theirs['Os']}/{theirs['Architecture']}"
    assert [layer.digest for layer in ours.layers] == theirs["Layers"]
    assert [layer.diff_id for layer in ours.layers] == DIFF_IDS
    assert [layer.command for layer in ours.layers] == ["ADD base", "ADD library", "ADD application"]


@pytest.mark.parametrize("tag", FORMATS)
def test_everything_it_wrote_is_right(repository: Repository, tag: str) -> None:
    report = validate(repository, tag)

    assert report.findings == ()
    assert (report.manifests, report.blobs) == (1, 4)


def test_a_damaged_and_a_missing_blob_are_found(tmp_path: Path) -> None:
    write_directory(tmp_path / "image")
    with DebianRegistry(tmp_path / "registry") as registry:
        skopeo("copy", "--dest-tls-verify=false", f"dir:{tmp_path / 'image'}", f"docker://{registry.host}/demo:1")
        session = Session(Settings())
        repository = RegistryClient(session, registry.url).repository("demo")
        layers = [layer.digest.partition(":")[2] for layer in inspect(repository, "1").layers]
        blobs = tmp_path / "registry" / "content" / "docker" / "registry" / "v2" / "blobs" / "sha256"
        damaged, missing = (blobs / one[:2] / one / "data" for one in layers[:2])
        content = damaged.read_bytes()
        damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        missing.unlink()
        report = validate(repository, "1")
        session.close()

    assert [one.path for one in report.findings] == ["layers[0]", "layers[1]"]
    assert hashlib.sha256(content).hexdigest() in report.findings[0].message


def test_the_table_lists_all_of_them(repository: Repository) -> None:
    rows = list(tag_table(repository, repository.tags()))

    assert sorted(row.tag for row in rows) == sorted(FORMATS)
    assert {row.created for row in rows} == {CONFIG["created"]}
    assert all(row.size == inspect(repository, row.tag).size for row in rows)
