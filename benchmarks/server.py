"""A v1 registry that does nothing but answer fast, in a process of its own.

Every answer is made before the first request; the layer, one for all images, goes out by sendfile. The process ends
when its standard input does, so it never outlives whoever started it.
"""

import hashlib
import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from benchmarks.measure import served

NAME = "library/bench"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Registry:
    """A registry under way: its `host:port`, what it holds, and what is right."""

    host: str
    ids: list[str]
    layer_sha256: str
    json_bytes: int  # of all images together

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://{self.host}"

    @property
    def layer_url(self) -> str:
        """The URL of the first image's layer."""
        return f"{self.url}/v1/images/{self.ids[0]}/layer"


@contextmanager
def registry(layer_size: int, images: int = 1) -> Iterator[Registry]:
    """Serve `images` images with a layer of `layer_size` bytes on loopback."""
    with served("-m", "benchmarks.server", str(layer_size), str(images)) as line:
        yield Registry(**json.loads(line))


def image_ids(images: int) -> list[str]:
    """Return the ids of so many images."""
    return [f"{number:064x}" for number in range(1, images + 1)]


def json_path(image_id: str) -> str:
    """Return the path of an image's JSON."""
    return f"/v1/images/{image_id}/json"


def _document(image_id: str) -> bytes:
    """Return an image's JSON, of the size and shape that real ones have."""
    config = {
        "Hostname": image_id[:12],
        "Image": image_id,
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"],
        "Cmd": ["/bin/sh", "-c", "#(nop) CMD [python3]"],
        "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "Labels": {f"org.example.label-{number}": "x" * 20 for number in range(8)},
    }
    image = {
        "id": image_id,
        "created": "2015-03-20T12:00:00.000000000Z",
        "container": image_id,
        "container_config": config,
        "config": config,
        "docker_version": "1.5.0",
        "architecture": "amd64",
        "os": "linux",
        "Size": 0,
    }
    return json.dumps(image).encode()


def _answer(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _answers(host: str, documents: dict[str, bytes], layer: BinaryIO, size: int) -> dict[bytes, bytes]:
    """Return every answer by its path; a layer's is only the head."""
    first, end = next(iter(documents)), b"\n"
    repository = f"/v1/repositories/{NAME}"
    made = {
        f"{repository}/images": _answer(b"[]", f"X-Docker-Endpoints: {host}"),
        f"{repository}/tags": _answer(json.dumps({"latest": first}).encode()),
    }
    for image_id, document in documents.items():
        checksum = f"X-Docker-Checksum-Payload: sha256:{_sha256(layer, document + end)}"
        made[json_path(image_id)] = _answer(document, f"X-Docker-Size: {size}", checksum)
        made[f"/v1/images/{image_id}/ancestry"] = _answer(json.dumps([image_id]).encode())
        made[f"/v1/images/{image_id}/layer"] = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode()
    return {path.encode(): answer for path, answer in made.items()}


def _sha256(layer: BinaryIO, before: bytes = b"") -> str:
    layer.seek(0)
    total = hashlib.sha256(before)
    while block := layer.read(_BLOCK):
        total.update(block)
    return total.hexdigest()


def _talk(connection: socket.socket, answers: dict[bytes, bytes], layer: BinaryIO, size: int) -> None:
    with connection, suppress(ConnectionError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = b""
        while chunk := connection.recv(64 << 10):
            request += chunk
            if not request.endswith(b"\r\n\r\n"):
                continue
            path = request.split(b" ", 2)[1]
            request = b""
            connection.sendall(answers.get(path, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
            sent = 0 if path in answers and path.endswith(b"/layer") else size
            while sent < size:
                sent += os.sendfile(connection.fileno(), layer.fileno(), sent, size - sent)


def _serve(size: int, images: int) -> None:
    with tempfile.TemporaryFile() as layer, socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        block = os.urandom(_BLOCK)
        for start in range(0, size, _BLOCK):
            layer.write(block[: size - start])
        layer.flush()
        os.fsync(layer.fileno())  # or the measured ones would wait for its blocks, too
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        documents = {image_id: _document(image_id) for image_id in image_ids(images)}
        answers = _answers(host, documents, layer, size)

        def accept() -> None:
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=_talk, args=(connection, answers, layer, size), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        facts = Registry(host, list(documents), _sha256(layer), sum(map(len, documents.values())))
        print(json.dumps(facts.__dict__), flush=True)
        sys.stdin.read()
        os._exit(0)  # the threads have nothing to put away


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
