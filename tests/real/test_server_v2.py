"""Clients that no one here wrote against the embedded registry: skopeo and podman."""

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from dockless.model.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from dockless.stores.base import Repositories
from dockless.stores.repositories import LayoutRoot, MemoryRepositories
from tests.asking import ask
from tests.pushing import described, digest, manifest, put_blob, put_manifest
from tests.require import absent

PLATFORMS = ("amd64", "arm64")


def program(name: str) -> str:
    return shutil.which(name) or absent(f"{name}: no such program")


def skopeo(*arguments: str) -> str:
    command = [program("skopeo"), "--insecure-policy", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def copy(source: str, destination: str, *more: str) -> None:
    skopeo("copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", *more, source, destination)


@pytest.fixture(scope="module", params=["memory", "layouts"])
def repositories(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    return MemoryRepositories() if request.param == "memory" else LayoutRoot(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def registry(repositories: Repositories) -> Iterator[EmbeddedRegistry]:
    """A registry with the tags `one`, an image, and `all`, an index of two."""
    with EmbeddedRegistry(repositories) as registry:
        images = {architecture: put(registry, architecture) for architecture in PLATFORMS}
        listed = [
            described(raw, OCI_MANIFEST, platform={"os": "linux", "architecture": one}) for one, raw in images.items()
        ]
        both = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode()
        assert put_manifest(registry, "library/demo", "all", both, OCI_INDEX).status == 201
        assert put_manifest(registry, "library/demo", "one", images["amd64"]).status == 201
        yield registry


def put(registry: EmbeddedRegistry, architecture: str) -> bytes:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        content = os.urandom(200_000)
        entry = tarfile.TarInfo("etc/demo")
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    layer = gzip.compress(tar.getvalue(), 1, mtime=0)
    history = [{"created": "2020-01-01T00:00:00Z", "created_by": f"make {architecture}"}]
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar.getvalue()).hexdigest()}"]}
    config = json.dumps({"architecture": architecture, "os": "linux", "rootfs": rootfs, "history": history}).encode()
    for blob in (config, layer):
        put_blob(registry, "library/demo", blob)
    layers = [described(layer, OCI_LAYER_GZIP)]
    raw = manifest(config=described(config, OCI_CONFIG), layers=layers)
    assert put_manifest(registry, "library/demo", digest(raw), raw).status == 201
    return raw


def digest_at(registry: EmbeddedRegistry, name: str, tag: str) -> str:
    return str(ask(registry, f"/v2/{name}/manifests/{tag}", "HEAD").headers["Docker-Content-Digest"])


class TestSkopeo:
    @pytest.mark.parametrize("tag", ["one", "all"])
    def test_copies_out_and_in_again(self, registry: EmbeddedRegistry, tmp_path: Path, tag: str) -> None:
        copy(f"docker://{registry.host}/library/demo:{tag}", f"oci:{tmp_path}:x", "--all")
        copy(f"oci:{tmp_path}:x", f"docker://{registry.host}/copied/demo/deep:{tag}", "--all")
        wanted = digest_at(registry, "library/demo", tag)
        (listed,) = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
        assert (listed["digest"], digest_at(registry, "copied/demo/deep", tag)) == (wanted, wanted)

    def test_copies_within_the_registry(self, registry: EmbeddedRegistry) -> None:
        copy(f"docker://{registry.host}/library/demo:all", f"docker://{registry.host}/mounted/demo:all", "--all")
        assert digest_at(registry, "mounted/demo", "all") == digest_at(registry, "library/demo", "all")

    def test_copies_in_docker_s_format(self, registry: EmbeddedRegistry, tmp_path: Path) -> None:
        copy(f"docker://{registry.host}/library/demo:one", f"dir:{tmp_path}/out", "--format=v2s2")
        copy(f"dir:{tmp_path}/out", f"docker://{registry.host}/docker/demo:one")
        answer = ask(registry, "/v2/docker/demo/manifests/one")
        assert answer.body == (tmp_path / "out" / "manifest.json").read_bytes()

    def test_lists_tags(self, registry: EmbeddedRegistry) -> None:
        listed = skopeo("list-tags", "--tls-verify=false", f"docker://{registry.host}/library/demo")
        assert json.loads(listed)["Tags"] == ["all", "one"]

    def test_inspects(self, registry: EmbeddedRegistry) -> None:
        said = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/library/demo:one"))
        assert said["Digest"] == digest_at(registry, "library/demo", "one")
        assert (said["Architecture"], said["RepoTags"]) == ("amd64", ["all", "one"])

    def test_deletes(self, registry: EmbeddedRegistry) -> None:
        copy(f"docker://{registry.host}/library/demo:one", f"docker://{registry.host}/gone/demo:one")
        skopeo("delete", "--tls-verify=false", f"docker://{registry.host}/gone/demo:one")
        assert ask(registry, "/v2/gone/demo/manifests/one").status == 404

    def test_logs_in(self, tmp_path: Path) -> None:
        with EmbeddedRegistry(LayoutRoot(tmp_path), V1Options(credentials=("jo", "s3cret"))) as registry:
            put_nothing = ["--tls-verify=false", f"docker://{registry.host}/none"]
            with pytest.raises(subprocess.CalledProcessError) as caught:
                skopeo("list-tags", *put_nothing)
            assert "unauthorized" in caught.value.stderr or "authentication required" in caught.value.stderr
            with pytest.raises(subprocess.CalledProcessError) as caught:
                skopeo("list-tags", "--creds=jo:s3cret", *put_nothing)
            assert "404" in caught.value.stderr

    def test_reads_the_layout_that_was_served(
        self, repositories: Repositories, registry: EmbeddedRegistry, tmp_path: Path
    ) -> None:
        if isinstance(repositories, LayoutRoot):
            copy(f"oci:{repositories.root}/library/demo:all", f"oci:{tmp_path}:x", "--all")
            (listed,) = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
            assert listed["digest"] == digest_at(registry, "library/demo", "all")


def test_podman_pulls_and_pushes(registry: EmbeddedRegistry, tmp_path: Path) -> None:
    def podman(*arguments: str) -> str:
        command = [program("podman"), f"--root={tmp_path}/root", f"--runroot={run}", "--storage-driver=vfs", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    name = f"{registry.host}/library/demo:one"
    with tempfile.TemporaryDirectory() as run:  # it may have fifty characters
        image_id = podman("pull", "--quiet", "--tls-verify=false", name).strip()
        podman("push", "--quiet", "--tls-verify=false", name, f"docker://{registry.host}/podman/demo:one")
    pushed = json.loads(ask(registry, "/v2/podman/demo/manifests/one").body)
    assert pushed["config"]["digest"] == f"sha256:{image_id}"
