"""The original v1 server, docker-registry 0.9.1 on Python 2.7, run for tests.

Two environment variables say where it is: `V1_SERVER`, the directory of setup.sh and serve.sh, and `V1_DIR`, where
setup.sh built it. Without both, tests that need it are skipped; with both, a server that does not start is a failure.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dockless.testing.images import MadeImage
from tests.require import absent

_SECONDS_TO_START = 60
_NO_HEADERS: Mapping[str, str] = {}


def find_v1_server() -> Path | None:
    """Return the directory of serve.sh, None when the environment does not name server and build."""
    server, build = os.environ.get("V1_SERVER"), os.environ.get("V1_DIR")
    return Path(server) if server and build else None


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class OriginalServer:
    """One original server with its storage; `options` are the variables that serve.sh takes.

    Server and workers end with the `with` block, whatever happens in it.
    """

    def __init__(self, storage: Path, *, port: int | None = None, **options: str) -> None:
        self.storage = storage
        self.port = port or free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self._options = options
        self._log = storage / "server.log"

    def __enter__(self) -> Self:
        directory = find_v1_server()
        if directory is None:
            absent("the original v1 server: V1_SERVER and V1_DIR do not say where it is")
        self.storage.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [directory / "serve.sh", str(self.port), self.storage],
                env=os.environ | self._options,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # its workers are of one group with it, and end with it
            )
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Answer:
        """Send one request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def push(self, images: Sequence[MadeImage], repository: str, tags: Sequence[str] = ("latest",)) -> None:
        """Push an image with its ancestors, newest first, as Docker did; each tag names the newest.

        `repository` is `namespace/name`. Images that are there already stay as they are.
        """
        tagged = [{"id": images[0].id, "Tag": tag} for tag in tags]
        self._put(f"/v1/repositories/{repository}/", json.dumps([{"id": one.id} for one in images[1:]] + tagged))
        for image in reversed(images):  # a parent must be there before its child
            if self.request("GET", f"/v1/images/{image.id}/json").status == 200:
                continue
            self._put(f"/v1/images/{image.id}/json", image.raw)
            self._put(f"/v1/images/{image.id}/layer", image.layer, {"Content-Type": "application/octet-stream"})
            self._put(f"/v1/images/{image.id}/checksum", b"", {"X-Docker-Checksum-Payload": image.checksum})
        for tag in tags:
            self._put(f"/v1/repositories/{repository}/tags/{tag}", json.dumps(images[0].id))
        sums = [{"id": image.id, "checksum": image.checksum} for image in images]
        self._put(f"/v1/repositories/{repository}/images", json.dumps(sums))

    def _put(self, path: str, body: bytes | str, headers: Mapping[str, str] = _NO_HEADERS) -> None:
        content = body.encode() if isinstance(body, str) else body
        answer = self.request("PUT", path, content, {"Content-Type": "application/json", **headers})
        assert answer.status in {200, 204}, f"PUT {path}: {answer.status} {answer.body!r}"

    def _wait(self) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the original server did not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/v1/_ping").status == 200
        except OSError:
            return False

    def _end(self) -> None:
        self._process.send_signal(signal.SIGINT)  # SIGTERM would wait for connections that clients keep
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with suppress(ProcessLookupError):  # it ends its workers before itself: as a rule nobody is left
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def token_pair(tmp: Path) -> Iterator[tuple[OriginalServer, OriginalServer]]:
    """Run an index and a registry that asks it about tokens; both have the same images.

    Push to the index: the registry would want a route for parents that this index does not have.
    """
    port = free_port()
    storage = tmp / "index"
    with (
        OriginalServer(storage, REGISTRY_ENDPOINTS=f"127.0.0.1:{port}") as index,
        OriginalServer(
            tmp / "registry",
            port=port,
            STANDALONE="false",
            INDEX_ENDPOINT=index.url,
            STORAGE_PATH=str(storage / "data"),
        ) as registry,
    ):
        yield index, registry


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
