"""What umoci, skopeo and podman wrote is read, wherever it lies, and every digest is the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.model.media_types import (
    DOCKER_INDEX,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from tests.debian_registry import DebianRegistry
from tests.faces.command import run as dockless
from tests.real.conftest import RealImage
from tests.real_image import (
    ARCHITECTURES,
    Blobs,
    Podman,
    contents,
    digest_of,
    podman,
    raw_by_skopeo,
    run,
    seen_by_skopeo,
    seen_by_us,
    skopeo_copy,
)

pytestmark = pytest.mark.timeout(400)  # the first to ask for the real image waits for Debian


@pytest.fixture(scope="module")
def saving(small: Path) -> Iterator[Podman]:
    """A podman that has both images."""
    with podman() as command:
        for architecture in ARCHITECTURES:
            command("pull", "--quiet", f"--arch={architecture}", f"oci:{small}:{architecture}")
            (image,) = Blobs(small).tagged(architecture)
            command("tag", image.config.removeprefix("sha256:"), f"example.com/team/{architecture}:1.0")
        yield command


class TestLayout:
    def test_every_tag_of_umoci_s(self, small: Path) -> None:
        with Client() as client:
            assert sorted(client.tags(f"oci:{small}")) == ["all", "amd64", "arm64"]
        for tag in ("all", "amd64", "arm64"):
            assert seen_by_us(f"oci:{small}:{tag}") == seen_by_skopeo(f"oci:{small}:{tag}")

    def test_the_real_image(self, real: RealImage) -> None:
        """Its config, history and layers as umoci tells of them, and all of its content checked."""
        location = f"oci:{real.layout}:real"
        with Client() as client:
            image, summary = client.image(location), client.inspect(location)
            assert client.validate(location).ok
        told = json.loads(run("umoci", "stat", "--json", "--image", f"{real.layout}:real"))["history"]
        (seen,) = Blobs(real.layout).tagged("real")

        assert [layer.diff_id for layer in image.layers] == seen.diff_ids
        assert [(step.created_by, step.empty_layer) for step in image.history] == [
            (step["created_by"], step.get("empty_layer", False)) for step in told
        ]
        assert [step["layer"]["digest"] for step in told if step["layer"]] == [
            layer.descriptor.digest for layer in image.layers
        ]
        assert (summary.digest, str(image.platform)) == (seen.manifest, "linux/amd64")
        assert raw_by_skopeo(location) == image.manifest.raw
        assert len(seen.layers) == 3


class TestArchive:
    def test_oci_by_skopeo(self, small: Path, tmp_path: Path) -> None:
        archive = f"oci-archive:{tmp_path}/archive.tar:all"
        skopeo_copy(f"oci:{small}:all", archive, "--all", "--preserve-digests")
        assert seen_by_us(archive) == seen_by_skopeo(f"oci:{small}:all")
        ran = dockless("digest", archive)
        assert ran.out.decode().strip() == Blobs(small).tag("all"), ran

    def test_docker_by_skopeo(self, small: Path, tmp_path: Path) -> None:
        names = ["example.com/demo:1.0", "docker.io/library/demo:latest"]
        archive = f"docker-archive:{tmp_path}/archive.tar"
        skopeo_copy(f"oci:{small}:arm64", f"{archive}:{names[0]}", f"--additional-tag={names[1]}")
        with Client() as client:
            assert list(client.tags(archive)) == names
            manifest = client.manifest(f"{archive}:demo")
        (read,) = seen_by_us(archive)

        assert contents([read]) == contents(seen_by_skopeo(f"oci:{small}:arm64"))
        assert read.layers == read.diff_ids
        assert {layer["mediaType"] for layer in json.loads(manifest.raw)["layers"]} == {OCI_LAYER}

    @pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
    def test_one_by_podman(self, saving: Podman, tmp_path: Path, small: Path, kind: str) -> None:
        file, name = tmp_path / "archive.tar", "example.com/team/arm64:1.0"
        saving("save", "--quiet", f"--format={kind}", "--output", file, name)
        with Client() as client:
            assert list(client.tags(f"{kind}:{file}")) == [name]
        seen = seen_by_us(f"{kind}:{file}")
        assert contents(seen) == contents(seen_by_skopeo(f"oci:{small}:arm64"))

    def test_a_name_that_podman_gave_is_found_by_the_command_line(self, saving: Podman, tmp_path: Path) -> None:
        file, name = tmp_path / "archive.tar", "example.com/team/arm64:1.0"
        saving("save", "--quiet", "--format=oci-archive", "--output", file, name)
        listed = dockless("tags", f"oci-archive:{file}").out.decode().strip()
        assert listed == name
        assert dockless("digest", f"oci-archive:{file}:{listed}").code == 0

    def test_several_by_podman(self, saving: Podman, tmp_path: Path) -> None:
        file = tmp_path / "archive.tar"
        names = [f"example.com/team/{one}:1.0" for one in ARCHITECTURES]
        saving("save", "--quiet", "--multi-image-archive", "--format=docker-archive", "--output", file, *names)
        archive = f"docker-archive:{file}"
        with Client() as client:
            assert sorted(client.tags(archive)) == names
        for number, name in enumerate(names):
            (seen,) = seen_by_us(f"{archive}:{name}")
            assert seen.config == saving.config_digest(name)
            assert seen.diff_ids == saving.inspect(name)["RootFS"]["Layers"]
            assert [seen] == seen_by_us(f"{archive}:@{number}")


class TestRegistry:
    @pytest.fixture
    def alone(self, tmp_path: Path) -> Iterator[DebianRegistry]:
        """A registry of its own: skopeo takes the same layer packed otherwise, if it saw one there."""
        with DebianRegistry(tmp_path / "registry") as running:
            yield running

    @pytest.mark.parametrize(
        ("form", "layer_type"), [("oci", OCI_LAYER_GZIP), ("oci", OCI_LAYER_ZSTD), ("v2s2", DOCKER_LAYER_GZIP)]
    )
    def test_pushed_by_skopeo(
        self, alone: DebianRegistry, small: Path, tmp_path: Path, form: str, layer_type: str
    ) -> None:
        packed = "zstd" if layer_type == OCI_LAYER_ZSTD else "gzip"
        plain, place = f"dir:{tmp_path}/plain", f"{alone.host}/demo:1.0"
        skopeo_copy(f"oci:{small}:arm64", plain, "--dest-decompress")  # it keeps what is packed already
        skopeo_copy(plain, f"docker://{place}", "--dest-compress-format", packed, "--format", form)
        seen = seen_by_us(place)

        with Client() as client:
            image = client.image(place)
        assert image.manifest.descriptor.media_type == (OCI_MANIFEST if form == "oci" else DOCKER_MANIFEST)
        assert {layer.descriptor.media_type for layer in image.layers} == {layer_type}
        assert seen == seen_by_skopeo(f"docker://{place}")
        assert contents(seen) == contents(seen_by_skopeo(f"oci:{small}:arm64"))

    def test_all_platforms_pushed_by_skopeo(self, registry: DebianRegistry, small: Path) -> None:
        place = f"{registry.host}/read/all:1.0"
        skopeo_copy(f"oci:{small}:all", f"docker://{place}", "--all", "--preserve-digests")
        ran = dockless("manifest", place)
        assert digest_of(ran.out) == Blobs(small).tag("all"), ran
        assert seen_by_us(place) == seen_by_skopeo(f"oci:{small}:all")

    def test_docker_s_list_of_platforms(self, registry: DebianRegistry, small: Path) -> None:
        """skopeo writes an index anew as Docker's manifest list, of manifests of schema 2."""
        place = f"{registry.host}/read/docker:1.0"
        skopeo_copy(f"oci:{small}:all", f"docker://{place}", "--all", "--format=v2s2")
        assert json.loads(raw_by_skopeo(f"docker://{place}"))["mediaType"] == DOCKER_INDEX
        assert seen_by_us(place) == seen_by_skopeo(f"docker://{place}")

    def test_pushed_by_podman(self, registry: DebianRegistry, saving: Podman) -> None:
        name, place = "example.com/team/arm64:1.0", f"{registry.host}/by/podman:1.0"
        saving("push", "--quiet", "--tls-verify=false", name, f"docker://{place}")
        (seen,) = seen_by_us(place)
        assert seen.config == saving.config_digest(name)
        assert seen.diff_ids == saving.inspect(name)["RootFS"]["Layers"]
