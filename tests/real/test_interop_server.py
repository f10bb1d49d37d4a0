"""`dockless serve`, pushed to and pulled from by skopeo and podman."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dockless.faces.client import Client
from tests.debian_registry import DebianRegistry
from tests.faces.command import command
from tests.real.conftest import RealImage
from tests.real_image import (
    ARCHITECTURES,
    SBOM,
    Blobs,
    podman,
    raw_by_skopeo,
    run,
    seen_by_skopeo,
    seen_by_us,
    skopeo_copy,
)

pytestmark = pytest.mark.timeout(400)  # the first to ask for the real image waits for Debian


@contextmanager
def serving(root: Path, *options: str) -> Iterator[str]:
    """Serve a directory by the command line; yield `HOST:PORT`."""
    with subprocess.Popen(
        command("serve", str(root), "--listen", "127.0.0.1:0", *options), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            _, _, said = process.stderr.readline().partition(" at http://")
            yield said.split()[0]
        finally:
            process.terminate()
            process.communicate(timeout=20)


def ask(host: str, path: str) -> bytes:
    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("served")
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def host(root: Path) -> Iterator[str]:
    with serving(root) as host:
        yield host


def test_skopeo_pushes_and_pulls_the_real_image(host: str, root: Path, real: RealImage) -> None:
    place, digest = f"{host}/team/real:1.0", Blobs(real.layout).tag("both")
    skopeo_copy(f"oci:{real.layout}:both", f"docker://{place}", "--all", "--preserve-digests")
    wanted = Blobs(real.layout).images(digest)
    assert seen_by_skopeo(f"docker://{place}") == seen_by_us(place) == wanted
    assert seen_by_skopeo(f"oci:{root}/team/real:1.0") == wanted  # what is served is a layout, for anyone to read


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_skopeo_pushes_every_form(host: str, small: Path, tmp_path: Path, form: str) -> None:
    place = f"{host}/forms/{form}:1.0"
    skopeo_copy(f"oci:{small}:all", f"docker://{place}", "--all", "--format", form)
    assert seen_by_us(place) == seen_by_skopeo(f"docker://{place}")
    with Client() as client:
        assert client.resolve(place).media_type == json.loads(raw_by_skopeo(f"docker://{place}"))["mediaType"]


def test_podman_pulls_and_pushes(host: str, small: Path) -> None:
    place, pushed = f"{host}/team/small:1.0", f"{host}/by/podman:1.0"
    with Client() as client:
        client.copy(f"oci:{small}:all", place)
    with podman() as program:
        for wanted, architecture in zip(Blobs(small).tagged("all"), ARCHITECTURES, strict=True):
            program("pull", "--quiet", "--tls-verify=false", f"--arch={architecture}", place)
            assert program.config_digest(place) == wanted.config
            assert program.inspect(place)["RootFS"]["Layers"] == wanted.diff_ids
        program("push", "--quiet", "--tls-verify=false", place, f"docker://{pushed}")
        (seen,) = seen_by_us(pushed)
        assert (seen.config, seen.diff_ids) == (wanted.config, wanted.diff_ids)
        program("rmi", "--all", "--force")
        program("pull", "--quiet", "--tls-verify=false", pushed)
        assert program.config_digest(pushed) == wanted.config


def test_referrers_go_to_a_registry_without_the_api_and_come_back(host: str, small: Path, tmp_path: Path) -> None:
    first, last, digest = f"{host}/with/sbom:1.0", f"{host}/back/again:1.0", Blobs(small).tag("all")
    with DebianRegistry(tmp_path / "registry") as other, Client() as client:
        between = f"{other.host}/with/sbom:1.0"
        for source, destination in ((f"oci:{small}:all", first), (first, between), (between, last)):
            assert client.copy(source, destination, referrers=True).referrers == 1
        listed = [
            json.loads(raw_by_skopeo(f"docker://{other.host}/with/sbom:{digest.replace(':', '-')}")),
            json.loads(ask(host, f"/v2/with/sbom/referrers/{digest}")),
            json.loads(ask(host, f"/v2/back/again/referrers/{digest}")),
        ]
    entries = [[(one["digest"], one["artifactType"]) for one in index["manifests"]] for index in listed]
    assert entries[0] == entries[1] == entries[2]
    assert [kind for _, kind in entries[0]] == [SBOM]
    tags = json.loads(run("skopeo", "list-tags", "--tls-verify=false", f"docker://{host}/back/again"))["Tags"]
    assert tags == ["1.0"]  # with the API there is no need for another


def test_nothing_but_layouts_is_left(host: str, root: Path, small: Path) -> None:
    skopeo_copy(f"oci:{small}:all", f"docker://{host}/clean/up:1.0", "--all")
    Blobs(root / "clean/up").check_nothing_else()
