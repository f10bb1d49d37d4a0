"""What dockless wrote is read by skopeo, umoci and podman, and every digest is the same."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.model.location import ArchiveLocation
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
    tree,
    unpack,
    unpacked_by_skopeo,
)

pytestmark = pytest.mark.timeout(400)  # the first to ask for the real image waits for Debian


@pytest.fixture
def loading() -> Iterator[Podman]:
    """A podman that has nothing yet."""
    with podman() as command:
        yield command


def copied(source: str, destination: str, *options: str) -> str:
    """Copy on the command line; return the digest that it prints."""
    ran = dockless("copy", *options, source, destination)
    assert ran.code == 0, ran.err
    return ran.out.decode().strip()


def test_umoci_unpacks_the_real_image(real: RealImage, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    digest = copied(f"oci:{real.layout}:real", f"oci:{layout}:1.0")
    assert digest == Blobs(real.layout).tag("real") == Blobs(layout).tag("1.0")
    assert run("umoci", "ls", "--layout", layout).split() == ["1.0"]
    assert tree(unpack(f"{layout}:1.0", tmp_path / "bundle")) == tree(real.files)
    shutil.rmtree(tmp_path / "bundle")


def test_a_layout_that_everybody_writes(small: Path, tmp_path: Path, loading: Podman) -> None:
    layout = tmp_path / "layout"
    copied(f"oci:{small}:amd64", f"oci:{layout}:ours")
    run("umoci", "config", "--image", f"{layout}:ours", "--tag", "umoci", "--config.label", "by=umoci")
    skopeo_copy(f"oci:{small}:arm64", f"oci:{layout}:skopeo")
    loading("pull", "--quiet", f"oci:{layout}:umoci")
    loading("push", "--quiet", Blobs(layout).tagged("umoci")[0].config.removeprefix("sha256:"), f"oci:{layout}:podman")
    copied(f"oci:{small}:all", f"oci:{layout}:all")
    with Client() as client:
        assert sorted(client.tags(f"oci:{layout}")) == ["all", "ours", "podman", "skopeo", "umoci"]
    for tag in ("all", "ours", "podman", "skopeo", "umoci"):
        assert seen_by_us(f"oci:{layout}:{tag}") == seen_by_skopeo(f"oci:{layout}:{tag}") == Blobs(layout).tagged(tag)
    assert contents(Blobs(layout).tagged("podman")) == contents(Blobs(layout).tagged("umoci"))


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_skopeo_reads_all_platforms_of_a(small: Path, tmp_path: Path, kind: str) -> None:
    place = f"{kind}:{tmp_path}/place:1.0"
    digest = copied(f"oci:{small}:all", place)
    assert digest == digest_of(raw_by_skopeo(place)) == Blobs(small).tag("all")
    assert seen_by_skopeo(place) == Blobs(small).tagged("all")


def test_skopeo_reads_all_platforms_in_a_registry(registry: DebianRegistry, small: Path) -> None:
    place = f"{registry.host}/all/platforms:1.0"
    digest = copied(f"oci:{small}:all", place)
    assert digest == digest_of(raw_by_skopeo(f"docker://{place}")) == Blobs(small).tag("all")
    assert seen_by_skopeo(f"docker://{place}") == Blobs(small).tagged("all")


@pytest.mark.parametrize("number", [0, 1])
def test_skopeo_reads_an_archive_of_docker_s_with_several_images(small: Path, tmp_path: Path, number: int) -> None:
    archive = f"docker-archive:{tmp_path}/archive.tar"
    with Client() as client:
        for architecture in ARCHITECTURES:
            client.copy(f"oci:{small}:{architecture}", f"{archive}:example.com/{architecture}:1.0")
    for name in (f"example.com/{ARCHITECTURES[number]}:1.0", f"@{number}"):
        assert unpacked_by_skopeo(f"{archive}:{name}") == contents(Blobs(small).tagged(ARCHITECTURES[number]))


def test_podman_loads_the_real_image(real: RealImage, tmp_path: Path, loading: Podman) -> None:
    """Every file arrives: podman unpacks the layers and says the sum of each."""
    archive, name = f"docker-archive:{tmp_path}/archive.tar", "example.com/team/real:1.0"
    copied(f"oci:{real.layout}:real", f"{archive}:{name}")
    loading("load", "--quiet", "--input", tmp_path / "archive.tar")
    (wanted,) = Blobs(real.layout).tagged("real")
    assert loading.config_digest(name) == wanted.config
    assert loading.inspect(name)["RootFS"]["Layers"] == wanted.diff_ids
    (tmp_path / "archive.tar").unlink()


def test_podman_loads_several_images_with_their_names(small: Path, tmp_path: Path, loading: Podman) -> None:
    archive = f"docker-archive:{tmp_path}/archive.tar"
    names = {"example.com/team/a:1.0": "amd64", "example.com/team/b:2.0": "arm64", "docker.io/library/b:3": "arm64"}
    with Client() as client:
        for name, tag in names.items():
            client.copy(f"oci:{small}:{tag}", f"{archive}:{name}")
    loading("load", "--quiet", "--input", tmp_path / "archive.tar")
    for name, tag in names.items():
        (wanted,) = Blobs(small).tagged(tag)
        assert loading.config_digest(name) == wanted.config
        assert loading.inspect(name)["RootFS"]["Layers"] == wanted.diff_ids
    assert {name for one in json.loads(loading("images", "--format=json")) for name in one["Names"]} == set(names)


def test_podman_loads_an_oci_archive(small: Path, tmp_path: Path, loading: Podman) -> None:
    name = "example.com/team/demo:1.0"
    with Client() as client:  # a tag in a layout may be a whole reference, which podman takes as the image's name
        client.copy(f"oci:{small}:arm64", ArchiveLocation("oci-archive", f"{tmp_path}/archive.tar", name))
    loading("load", "--quiet", "--input", tmp_path / "archive.tar")
    (wanted,) = Blobs(small).tagged("arm64")
    assert loading.config_digest(name) == wanted.config
    assert loading.inspect(name)["Digest"] == wanted.manifest


def test_podman_pulls_each_platform(registry: DebianRegistry, small: Path, loading: Podman) -> None:
    place = f"{registry.host}/for/podman:1.0"
    copied(f"oci:{small}:all", place)
    for wanted, architecture in zip(Blobs(small).tagged("all"), ARCHITECTURES, strict=True):
        loading("pull", "--quiet", "--tls-verify=false", f"--arch={architecture}", place)
        assert loading.config_digest(place) == wanted.config
        assert loading.inspect(place)["RootFS"]["Layers"] == wanted.diff_ids
        assert wanted.manifest in {one.partition("@")[2] for one in loading.inspect(place)["RepoDigests"]}


def test_skopeo_reads_the_layout_that_an_archive_of_docker_s_became(small: Path, tmp_path: Path) -> None:
    archive = f"docker-archive:{tmp_path}/archive.tar:example.com/demo:1.0"
    skopeo_copy(f"oci:{small}:arm64", archive)
    copied(archive, f"oci:{tmp_path}/layout:1.0")
    assert contents(seen_by_skopeo(f"oci:{tmp_path}/layout:1.0")) == contents(Blobs(small).tagged("arm64"))


def test_an_image_in_an_archive_is_named_as_in_the_registry_it_came_from(
    registry: DebianRegistry, small: Path, tmp_path: Path, loading: Podman
) -> None:
    place = f"{registry.host}/team/named:1.0"
    copied(f"oci:{small}:arm64", place)
    copied(place, f"docker-archive:{tmp_path}/archive.tar")
    loading("load", "--quiet", "--input", tmp_path / "archive.tar")
    assert [one["Names"] for one in json.loads(loading("images", "--format=json"))] == [[place]]


def test_podman_loads_what_skopeo_wrote_with_an_image_added(small: Path, tmp_path: Path, loading: Podman) -> None:
    ours, theirs = "example.com/ours:1.0", "example.com/theirs:1.0"
    first, second = (Blobs(small).tagged(tag)[0] for tag in ARCHITECTURES)
    skopeo_copy(f"oci:{small}:amd64", f"docker-archive:{tmp_path}/archive.tar:{theirs}")
    copied(f"oci:{small}:arm64", f"docker-archive:{tmp_path}/archive.tar:{ours}")
    loading("load", "--quiet", "--input", tmp_path / "archive.tar")
    assert [loading.config_digest(name) for name in (theirs, ours)] == [first.config, second.config]
    assert loading.inspect(theirs)["RootFS"]["Layers"] == first.diff_ids
