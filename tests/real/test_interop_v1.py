"""Out of the original v1 server, and into it: layout, registry and archive after it are read by skopeo."""

import gzip
import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.testing.images import make_image
from tests.debian_registry import DebianRegistry
from tests.faces.command import run as dockless
from tests.original import OriginalServer
from tests.real.conftest import RealImage
from tests.real_image import Blobs, contents, digest_of, run, seen_by_skopeo, unpacked_by_skopeo

pytestmark = pytest.mark.timeout(400)  # the first to ask for the real image waits for Debian

MADE = make_image(
    {"etc/motd": b"hello\n" * 2000, "etc/name": b"base"},
    {},
    {"etc/.wh.motd": b""},
    {},
    {"a": b"a" * 9000},
    compress=True,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OriginalServer]:
    work = tmp_path_factory.mktemp("v1")
    with OriginalServer(work) as running:
        running.push(MADE, "team/made", ["1.0"])
        yield running
    shutil.rmtree(work)


def copied(cache: Path, *stops: str) -> list[str]:
    """Copy on the command line from each place to the next; return the digests that it prints."""
    digests = []
    for source, destination in itertools.pairwise(stops):
        ran = dockless("copy", source, destination, variables={"XDG_CACHE_HOME": str(cache)})
        assert ran.code == 0, ran.err
        digests.append(ran.out.decode().strip())
    assert [path for path in cache.rglob("spool/*") if path.exists()] == []
    return digests


def test_an_image_of_v1_goes_to_a_layout_a_registry_and_an_archive(
    server: OriginalServer, registry: DebianRegistry, tmp_path: Path
) -> None:
    layout, place = tmp_path / "layout", f"{registry.host}/team/made:1.0"
    archive = f"docker-archive:{tmp_path}/archive.tar:example.com/made:1.0"
    digests = copied(tmp_path / "cache", f"v1:{server.host}/team/made:1.0", f"oci:{layout}:1.0", place, archive)

    (digest,) = set(digests)
    (seen,) = Blobs(layout).images(digest)
    jsons = [json.loads(image.raw) for image in reversed(MADE)]
    with_files = [MADE[4], MADE[2], MADE[0]]
    assert seen.layers == [digest_of(image.layer) for image in with_files]
    assert seen.diff_ids == [digest_of(gzip.decompress(image.layer)) for image in with_files]
    assert seen.history == [" ".join(one["container_config"]["Cmd"]) for one in jsons]
    assert [seen] == seen_by_skopeo(f"oci:{layout}:1.0") == seen_by_skopeo(f"docker://{place}")

    assert unpacked_by_skopeo(archive) == contents([seen])
    config = json.loads(run("skopeo", "inspect", "--config", archive))
    assert [step["created"] for step in config["history"]] == [one["created"] for one in jsons]
    assert [bool(step.get("empty_layer")) for step in config["history"]] == [False, True, False, True, False]
    assert (config["created"], config["author"]) == (jsons[-1]["created"], jsons[-1]["author"])
    assert config["config"]["Entrypoint"] == jsons[-1]["config"]["Entrypoint"]


def test_straight_into_an_archive_or_a_registry_it_is_the_same(
    server: OriginalServer, registry: DebianRegistry, tmp_path: Path
) -> None:
    source, cache = f"v1:{server.host}/team/made:1.0", tmp_path / "cache"
    places = [
        f"{registry.host}/straight/made:1.0",
        f"oci-archive:{tmp_path}/oci.tar:1.0",
        f"docker-archive:{tmp_path}/docker.tar:made:1.0",
        f"oci:{tmp_path}/layout:1.0",
    ]
    assert len({digest for place in places for digest in copied(cache, source, place)}) == 1
    assert seen_by_skopeo(f"docker://{places[0]}") == seen_by_skopeo(places[1]) == seen_by_skopeo(places[3])
    assert unpacked_by_skopeo(places[2]) == contents(seen_by_skopeo(places[3]))


def test_the_real_image_goes_to_v1_and_back_and_on(
    server: OriginalServer, registry: DebianRegistry, real: RealImage, tmp_path: Path
) -> None:
    old, back = f"v1:{server.host}/library/alpine:1", tmp_path / "back"
    place = f"{registry.host}/library/real:1.0"
    archive = f"docker-archive:{tmp_path}/archive.tar:example.com/real:1.0"
    copied(tmp_path / "cache", f"oci:{real.layout}:real", old)
    digests = copied(tmp_path / "cache", old, f"oci:{back}:1", place, archive)

    (before,) = Blobs(real.layout).tagged("real")
    (after,) = Blobs(back).tagged("1")
    assert {after.manifest} == set(digests)
    assert (after.layers, after.diff_ids, after.history) == (before.layers, before.diff_ids, before.history)
    assert seen_by_skopeo(f"docker://{place}") == [after]
    assert unpacked_by_skopeo(archive) == contents([after])
    shutil.rmtree(back)
    (tmp_path / "archive.tar").unlink()
