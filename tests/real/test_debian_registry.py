"""Debian's docker-registry speaks v2 and no v1: what a v1 client says to it."""

import http.client
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from dockless import NotFound, v1
from tests.original import free_port
from tests.require import absent


@pytest.fixture(scope="module", name="url")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("docker-registry")
    if program is None:
        absent("docker-registry: no such program")
    root = tmp_path_factory.mktemp("registry")
    port = free_port()
    config = root / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {root}\nhttp:\n  addr: 127.0.0.1:{port}\n"
    )
    with subprocess.Popen([program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def wait_for(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/v2/")
            assert connection.getresponse().status == 200
            return
        time.sleep(0.05)
    raise AssertionError("docker-registry did not start")


def test_it_has_no_v1(url: str) -> None:
    with pytest.raises(NotFound, match="404") as caught:
        v1.ping(url)
    assert caught.value.exit_code == 3


def test_an_image_is_not_found_there(url: str) -> None:
    with pytest.raises(NotFound, match="image library/demo not found"):
        v1.get_image("library/demo", url)
