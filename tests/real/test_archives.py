"""Archives that other people's tools read, and archives that they wrote."""

import gzip
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dockless.model.descriptor import Descriptor
from dockless.model.digest import digest_of
from dockless.model.documents import make_document
from dockless.model.image_config import parse_image_config
from dockless.model.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST
from dockless.model.platform import Platform
from dockless.stores.base import NamedFetcher, Readable, Store
from dockless.stores.docker_archive import DockerArchive, DockerArchiveWriter
from dockless.stores.oci_archive import OciArchive, OciArchiveWriter
from dockless.testing.contract import given, got, put
from dockless.testing.images import demo_images, make_image
from tests.require import absent

DEMO = [one.layer for one in reversed(demo_images())]
OTHER = [one.layer for one in make_image({"a/file": b"hello"})]


def run(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        absent(f"{name}: no such program")
    return path


def skopeo(*arguments: str | Path) -> str:
    return run(program("skopeo"), "--insecure-policy", *arguments)


@pytest.fixture(name="podman")
def _podman() -> Iterator[list[str]]:
    with tempfile.TemporaryDirectory(prefix="p") as root:  # podman wants a short path
        command = [program("podman"), "--storage-driver=vfs", f"--root={root}/root", f"--runroot={root}/run"]
        if subprocess.run([*command, "info"], capture_output=True, timeout=60, check=False).returncode:
            absent("podman does not run here")
        yield command


def config_of(layers: list[bytes], architecture: str = "amd64") -> bytes:
    ids = [digest_of(layer) for layer in layers]
    history = [{"created": "2015-01-01T00:00:00Z", "created_by": f"step {number}"} for number in range(len(ids))]
    config = {"architecture": architecture, "os": "linux", "config": {"Cmd": ["/usr/bin/demo"]}, "history": history}
    return json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": ids}}).encode()


def push_image(store: Store, layers: list[bytes], architecture: str = "amd64", packed: bool = True) -> Descriptor:
    stored = [gzip.compress(layer, mtime=0) if packed else layer for layer in layers]
    body = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": put(store, config_of(layers, architecture), OCI_CONFIG),
        "layers": [put(store, layer, OCI_LAYER_GZIP if packed else OCI_LAYER) for layer in stored],
    }
    descriptor, raw = make_document(body)
    store.push(descriptor, given(raw))
    return descriptor


def push_index(store: Store, layers: list[bytes]) -> Descriptor:
    children = []
    for architecture in ("arm64", "amd64"):
        one = push_image(store, layers, architecture)
        platform = Platform(os="linux", architecture=architecture)
        children.append(Descriptor(one.media_type, one.digest, one.size, platform=platform))
    descriptor, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children})
    store.push(descriptor, given(raw))
    return descriptor


def unpacked(stored: bytes) -> bytes:
    return gzip.decompress(stored) if stored.startswith(b"\x1f\x8b") else stored


def read(store: Readable, name: str) -> tuple[str, list[bytes]]:
    """Return an image's id and its unpacked layers, compared with what its config says."""
    assert isinstance(store, NamedFetcher)
    body: Mapping[str, Any] = json.loads(store.fetch_named(name)[1])
    config, *layers = (
        got(store, Descriptor(one["mediaType"], one["digest"], one["size"]))
        for one in (body["config"], *body["layers"])
    )
    layers = [unpacked(layer) for layer in layers]
    ids = parse_image_config(config, "config").rootfs.diff_ids
    assert [digest_of(layer) for layer in layers] == list(ids or ())
    assert digest_of(config) == body["config"]["digest"]
    return digest_of(config), layers


def read_directory(path: Path) -> tuple[str, list[bytes]]:
    """Return the same of what skopeo wrote into a directory."""
    body = json.loads((path / "manifest.json").read_bytes())
    layers = [unpacked((path / one["digest"].partition(":")[2]).read_bytes()) for one in body["layers"]]
    return body["config"]["digest"], layers


@pytest.fixture(name="several")
def _several(tmp_path: Path) -> Path:
    path = tmp_path / "several.tar"
    with DockerArchiveWriter(path) as writer:
        demo = push_image(writer, DEMO)
        writer.tag(demo, "demo:1.0")
        writer.tag(demo, "demo:latest")
        writer.tag(push_image(writer, OTHER, packed=False), "localhost:5000/other:1.0")
        writer.tag(push_index(writer, OTHER), "multi:1.0")
    return path


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("demo:1.0", DEMO),
        ("demo", DEMO),
        ("docker.io/library/demo:latest", DEMO),
        ("localhost:5000/other:1.0", OTHER),
        ("@1", OTHER),
        ("multi:1.0", OTHER),
    ],
)
def test_skopeo_reads_a_docker_archive_of_several(
    several: Path, tmp_path: Path, name: str, layers: list[bytes]
) -> None:
    skopeo("copy", f"docker-archive:{several}:{name}", f"dir:{tmp_path}/out")
    assert read_directory(tmp_path / "out") == (digest_of(config_of(layers)), layers)


def test_skopeo_reads_an_oci_archive(tmp_path: Path) -> None:
    path = tmp_path / "it.tar"
    with OciArchiveWriter(path) as writer:
        demo = push_image(writer, DEMO)
        writer.tag(demo, "1.0")
        writer.tag(push_index(writer, OTHER), "multi")
    with OciArchive(path) as archive:
        raw = archive.fetch_named("1.0")[1]
    assert skopeo("inspect", "--raw", f"oci-archive:{path}:1.0") == raw.decode()
    for name, layers in {"1.0": DEMO, "multi": OTHER}.items():
        skopeo("copy", f"oci-archive:{path}:{name}", f"dir:{tmp_path}/{name}")
        assert read_directory(tmp_path / name) == (digest_of(config_of(layers)), layers)
    skopeo("copy", "--all", f"oci-archive:{path}:multi", f"oci-archive:{tmp_path}/all.tar:multi")
    with OciArchive(path) as ours, OciArchive(tmp_path / "all.tar") as theirs:
        assert theirs.fetch_named("multi") == ours.fetch_named("multi")


@pytest.mark.parametrize("compressed", [False, True])
def test_what_skopeo_writes_is_read_and_goes_back(tmp_path: Path, compressed: bool) -> None:
    source, saved, layout, back = (tmp_path / name for name in ("source.tar", "saved.tar", "layout.tar", "back.tar"))
    with OciArchiveWriter(source) as writer:
        writer.tag(push_image(writer, DEMO), "1.0")
    skopeo("copy", f"oci-archive:{source}:1.0", f"docker-archive:{saved}:demo:1.0")
    skopeo("copy", f"oci-archive:{source}:1.0", f"oci-archive:{layout}:1.0")
    if compressed:
        for path in (saved, layout):
            path.write_bytes(gzip.compress(path.read_bytes()))
    with DockerArchive(saved) as archive:
        assert read(archive, "demo:1.0") == read(archive, "") == (digest_of(config_of(DEMO)), DEMO)
    with OciArchive(layout) as archive, OciArchive(source) as ours:
        assert archive.fetch_named("1.0") == ours.fetch_named("")
        assert read(archive, "1.0") == (digest_of(config_of(DEMO)), DEMO)
    shutil.copy(saved, back)
    with DockerArchiveWriter(back) as writer:
        writer.tag(push_image(writer, OTHER), "other:1.0")
    for name, layers in {"demo:1.0": DEMO, "other:1.0": OTHER}.items():
        skopeo("copy", f"docker-archive:{back}:{name}", f"dir:{tmp_path}/{name}")
        assert read_directory(tmp_path / name) == (digest_of(config_of(layers)), layers)


def loaded(podman: list[str], archive: Path) -> dict[str, str]:
    run(*podman, "load", "--input", archive)
    lines = run(*podman, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
    return dict(line.split(" ") for line in lines)


def test_podman_loads_a_docker_archive_of_several(several: Path, podman: list[str]) -> None:
    demo, other = (digest_of(config_of(layers)) for layers in (DEMO, OTHER))
    assert loaded(podman, several) == {
        "docker.io/library/demo:1.0": demo,
        "docker.io/library/demo:latest": demo,
        "localhost:5000/other:1.0": other,
        "docker.io/library/multi:1.0": other,
    }


@pytest.mark.parametrize("multi", [False, True])
def test_podman_loads_a_docker_archive_of_one_by_its_name(tmp_path: Path, podman: list[str], multi: bool) -> None:
    with DockerArchiveWriter(tmp_path / "it.tar") as writer:
        writer.tag(push_index(writer, DEMO) if multi else push_image(writer, DEMO), "demo:1.0")
    assert loaded(podman, tmp_path / "it.tar") == {"docker.io/library/demo:1.0": digest_of(config_of(DEMO))}


def test_what_podman_saves_is_read(several: Path, tmp_path: Path, podman: list[str]) -> None:
    loaded(podman, several)
    names = ["docker.io/library/demo:1.0", "localhost:5000/other:1.0"]
    saved, layout = tmp_path / "saved.tar", tmp_path / "layout.tar"
    run(*podman, "save", "--multi-image-archive", "--output", saved, *names)
    run(*podman, "save", "--format=oci-archive", "--output", layout, names[0])
    with DockerArchive(saved) as archive:
        assert list(archive.tags()) == names
        for name, layers in zip(names, (DEMO, OTHER), strict=True):
            assert read(archive, name) == (digest_of(config_of(layers)), layers)
    with OciArchive(layout) as archive:
        assert read(archive, "")[1] == DEMO  # podman writes another config here


def test_umoci_and_the_layout_in_a_tar(tmp_path: Path) -> None:
    umoci = program("umoci")
    with OciArchiveWriter(tmp_path / "ours.tar") as writer:
        writer.tag(push_image(writer, DEMO), "1.0")
    layout = tmp_path / "layout"
    with tarfile.open(tmp_path / "ours.tar") as tar:
        tar.extractall(layout, filter="data")
    run(umoci, "tag", "--image", f"{layout}:1.0", "2.0")
    run(umoci, "config", "--image", f"{layout}:1.0", "--config.cmd", "/bin/other")
    with tarfile.open(tmp_path / "theirs.tar", "w") as tar:
        tar.add(layout, ".")
    with OciArchive(tmp_path / "theirs.tar") as archive:
        assert read(archive, "2.0") == (digest_of(config_of(DEMO)), DEMO)
        assert read(archive, "1.0")[1] == DEMO
        assert read(archive, "1.0")[0] != digest_of(config_of(DEMO))
