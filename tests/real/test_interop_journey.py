"""From place to place: an image, its platforms and what refers to it stay what they are."""

import itertools
import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dockless.faces.client import Client
from dockless.model.media_types import OCI_INDEX
from tests.debian_registry import DebianRegistry
from tests.faces.command import run as dockless
from tests.real.conftest import RealImage
from tests.real_image import (
    PLATFORMS,
    SBOM,
    Blobs,
    add_index,
    contents,
    digest_of,
    platforms,
    raw_by_skopeo,
    run,
    seen_by_skopeo,
    unpacked_by_skopeo,
)

pytestmark = pytest.mark.timeout(400)  # the first to ask for the real image waits for Debian


@pytest.fixture(scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[DebianRegistry]]:
    work = tmp_path_factory.mktemp("registries")
    with ExitStack() as stack:
        yield [stack.enter_context(DebianRegistry(work / str(number))) for number in range(3)]
    shutil.rmtree(work)


@pytest.fixture(scope="module")
def stops(
    real: RealImage, registries: list[DebianRegistry], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """The places it went through, in order, each copied from the one before by the command line."""
    work = tmp_path_factory.mktemp("journey")
    first, second, third = (f"{one.host}/team/real:1.0" for one in registries)
    archives = [f"oci-archive:{work}/oci.tar:1.0", f"docker-archive:{work}/docker.tar:example.com/real:1.0"]
    stops = [f"oci:{real.layout}:both", first, second, *archives, third]
    for source, destination in itertools.pairwise(stops):
        ran = dockless("copy", "--referrers", source, destination)
        assert ran.code == 0, ran.err
        assert ran.out.decode().strip() == Blobs(real.layout).tag("both")
    yield stops
    assert sorted(one.name for one in work.iterdir()) == ["docker.tar", "oci.tar"]
    shutil.rmtree(work)


class TestAllTheWay:
    """Layout, registry, registry, oci-archive, docker-archive, registry: the real image for one platform of two."""

    def test_the_digest_is_the_same_at_every_stop(self, stops: list[str], real: RealImage) -> None:
        with Client() as client:
            assert {client.digest(stop) for stop in stops} == {Blobs(real.layout).tag("both")}

    def test_so_is_every_byte_at_the_end(self, stops: list[str], real: RealImage) -> None:
        wanted = Blobs(real.layout).tagged("both")
        assert seen_by_skopeo(f"docker://{stops[-1]}") == wanted

    def test_the_archive_for_docker_has_the_usual_platform(self, stops: list[str], real: RealImage) -> None:
        wanted = Blobs(real.layout).tagged("real")
        assert unpacked_by_skopeo(stops[4]) == contents(wanted)

    def test_what_refers_to_it_came_along_under_the_tag_that_tells_of_it(
        self, registries: list[DebianRegistry], stops: list[str], real: RealImage
    ) -> None:
        """This registry has no API for referrers: whoever wants them asks for a tag made of the digest."""
        digest = Blobs(real.layout).tag("both")
        (sbom,) = referrers(real.layout, digest)
        for one in registries:
            listed = json.loads(raw_by_skopeo(f"docker://{one.host}/team/real:{digest.replace(':', '-')}"))
            assert listed["mediaType"] == OCI_INDEX
            assert [(entry["digest"], entry["artifactType"]) for entry in listed["manifests"]] == [(sbom, SBOM)]

    def test_no_other_tag_came(self, registries: list[DebianRegistry], stops: list[str], real: RealImage) -> None:
        told = Blobs(real.layout).tag("both").replace(":", "-")
        for one in registries:
            listed = json.loads(run("skopeo", "list-tags", "--tls-verify=false", f"docker://{one.host}/team/real"))
            assert sorted(listed["Tags"]) == ["1.0", told]


class TestReferrers:
    def test_they_come_back_from_a_registry_without_the_api(
        self, registries: list[DebianRegistry], small: Path, tmp_path: Path
    ) -> None:
        place, digest = f"{registries[0].host}/with/referrers:1.0", Blobs(small).tag("all")
        with Client() as client:
            there = client.copy(f"oci:{small}:all", place, referrers=True)
            back = client.copy(place, f"oci:{tmp_path}/back:1.0", referrers=True)
            again = client.copy(place, f"oci:{tmp_path}/back:1.0", referrers=True)
            assert list(client.tags(f"oci:{tmp_path}/back")) == ["1.0"]
        assert (there.referrers, back.referrers, again.referrers, again.blobs) == (1, 1, 1, 0)
        assert referrers(tmp_path / "back", digest) == referrers(small, digest)
        assert Blobs(tmp_path / "back").images(digest) == Blobs(small).images(digest)

    def test_without_being_asked_for_they_stay(self, registries: list[DebianRegistry], small: Path) -> None:
        place = f"{registries[0].host}/without/referrers"
        assert dockless("copy", f"oci:{small}:all", f"{place}:1.0").code == 0
        assert json.loads(run("skopeo", "list-tags", "--tls-verify=false", f"docker://{place}"))["Tags"] == ["1.0"]


class TestPlatforms:
    def test_one_is_the_manifest_itself(self, registries: list[DebianRegistry], small: Path) -> None:
        place = f"{registries[0].host}/one/platform:1.0"
        ran = dockless("copy", "--platform", "linux/arm64", f"oci:{small}:all", place)
        assert ran.out.decode().strip() == digest_of(raw_by_skopeo(f"docker://{place}")) == Blobs(small).tag("arm64")
        assert b"the digest changes" in ran.err
        assert seen_by_skopeo(f"docker://{place}") == Blobs(small).tagged("arm64")

    def test_several_are_a_smaller_index(self, registries: list[DebianRegistry], small: Path, tmp_path: Path) -> None:
        layout, place = tmp_path / "layout", f"{registries[0].host}/two/platforms"
        shutil.copytree(small, layout)
        run("umoci", "config", "--image", f"{layout}:arm64", "--tag", "riscv64", "--architecture", "riscv64")
        add_index(layout, "three", platforms(layout, "amd64", "arm64", "riscv64"))
        with Client() as client:
            client.copy(f"oci:{layout}:three", f"{place}:two", platforms=["linux/amd64", "linux/riscv64"])
            whole = client.copy(f"oci:{layout}:all", f"{place}:all", platforms=["linux/amd64", "linux/arm64"])
        wanted = [
            *Blobs(layout).tagged("amd64"),
            *Blobs(layout).tagged("riscv64"),
        ]
        assert seen_by_skopeo(f"docker://{place}:two") == wanted
        listed = json.loads(raw_by_skopeo(f"docker://{place}:two"))["manifests"]
        assert listed == platforms(layout, "amd64", "arm64", "riscv64")[::2]
        assert whole.root.digest == Blobs(small).tag("all")

    def test_an_image_that_platforms_share_is_found_for_each(self, small: Path, tmp_path: Path) -> None:
        layout = tmp_path / "layout"
        shutil.copytree(small, layout)
        add_index(layout, "shared", platforms(layout, "amd64", "arm64", "arm64"))
        with Client() as client:
            found = [client.digest(f"oci:{layout}:shared", f"linux/{one}") for one in PLATFORMS]
        assert found == [Blobs(small).tag(tag) for tag in ("amd64", "arm64", "arm64")]


def referrers(layout: Path, subject: str) -> list[str]:
    """Return the digests of the manifests in a layout that have a subject, with every blob of theirs read."""
    found = []
    for one in json.loads((layout / "index.json").read_bytes())["manifests"]:
        document = json.loads(Blobs(layout).read(one["digest"]))
        if document.get("subject", {}).get("digest") == subject:
            assert all(Blobs(layout).read(part["digest"]) for part in (document["config"], *document["layers"]))
            found.append(one["digest"])
    return found
