"""Made-up v1 images, the same ones each time: for tests, and for the demo.

Rules:
* The JSON has the fields, and their order, that Docker 1.4 wrote; `Labels` are of 1.6.
* A layer is a tar as Docker made them: parent directories before their files, no padding but the two zero blocks.
  The layer without files is therefore Docker's empty layer, 1024 zero bytes.
* Ids depend on nothing but what is given here, not on the platform or its zlib.
"""

import gzip
import hashlib
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from dockless.model.image_id import ImageId, parse_image_id

_TIME = 1420070400  # 2015-01-01T00:00:00Z
_TAR_BLOCK = 512


@dataclass(frozen=True)
class MadeImage:
    """An image: its id, its JSON and its layer, both byte for byte what a registry stores."""

    id: ImageId
    raw: bytes
    layer: bytes

    @property
    def checksum(self) -> str:
        """The payload checksum of v1."""
        payload = self.raw + b"\n" + self.layer
        return f"sha256:{hashlib.sha256(payload).hexdigest()}"


def make_image(*layers: Mapping[str, bytes], name_seed: str = "demo", compress: bool = False) -> list[MadeImage]:
    """Return an image with its ancestors, newest first.

    `layers` map paths to contents and come base first, as they are built; a path `a/.wh.b` deletes `a/b`, and a
    content that starts with `#!` is executable. Another `name_seed` gives other ids and labels; `compress` packs the
    layers with gzip.
    """
    images: list[MadeImage] = []
    for number, files in enumerate(layers):
        tar = _tar(files)
        parent = images[0].id if images else ""
        seed = f"{name_seed}\n{compress}\n{parent}\n".encode()
        image_id = parse_image_id(hashlib.sha256(seed + tar).hexdigest())
        size = sum(map(len, files.values()))
        raw = json.dumps(_document(image_id, parent, number, size, name_seed), separators=(",", ":")).encode()
        images.insert(0, MadeImage(image_id, raw, gzip.compress(tar, mtime=0) if compress else tar))
    return images


def demo_images() -> list[MadeImage]:
    """Return a small image of three layers, newest first: a base, a library and an application."""
    base = {
        "etc/os-release": b'NAME="Demo Linux"\nID=demo\nVERSION_ID=1\n',
        "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
        "etc/hostname": b"demo\n",
        "etc/motd": b"Nothing is ready yet.\n",
    }
    library = {"usr/lib/greeting.sh": b'greet() { echo "Hello, $1, from an image nobody needed Docker for."; }\n'}
    application = {
        "usr/bin/demo": b'#!/bin/sh\n. /usr/lib/greeting.sh\ngreet "${1:-world}"\n',
        "etc/.wh.motd": b"",
    }
    return make_image(base, library, application)


def _document(image_id: str, parent: str, number: int, size: int, name: str) -> dict[str, object]:
    container = hashlib.sha256(image_id.encode()).hexdigest()
    entrypoint = [f"/usr/bin/{name}"]
    built_by = ["/bin/sh", "-c", f"#(nop) ADD layer {number} of {name} in /"]
    return {
        "id": image_id,
        **({"parent": parent} if parent else {}),
        "created": f"2015-01-01T00:{number // 60 % 60:02}:{number % 60:02}.123456789Z",
        "container": container,
        "container_config": _config(container, parent, name, entrypoint=None, command=built_by),
        "docker_version": "1.4.1",
        "author": "The dockless tests <nobody@example.com>",
        "config": _config(container, parent, name, entrypoint=entrypoint, command=["world"]),
        "architecture": "amd64",
        "os": "linux",
        "Size": size,
    }


def _config(
    container: str, parent: str, name: str, *, entrypoint: list[str] | None, command: list[str]
) -> dict[str, object]:
    return {
        "Hostname": container[:12],
        "Domainname": "",
        "User": "",
        "Memory": 0,
        "MemorySwap": 0,
        "CpuShares": 0,
        "Cpuset": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "PortSpecs": None,
        "ExposedPorts": None,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", f"NAME={name}"],
        "Cmd": command,
        "Image": parent,
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": entrypoint,
        "NetworkDisabled": False,
        "MacAddress": "",
        "OnBuild": [],
        "Labels": {"com.example.name": name},
    }


def _tar(files: Mapping[str, bytes]) -> bytes:
    directories = {str(parent) for path in files for parent in PurePosixPath(path).parents if parent.name}
    tar = bytearray()
    for path in sorted(directories | files.keys()):
        entry = tarfile.TarInfo(path)
        entry.mtime = _TIME
        content = files.get(path, b"")
        if path in directories:
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        else:
            entry.size, entry.mode = len(content), 0o755 if content.startswith(b"#!") else 0o644
        tar += entry.tobuf() + content + bytes(-len(content) % _TAR_BLOCK)
    return bytes(tar) + bytes(2 * _TAR_BLOCK)
