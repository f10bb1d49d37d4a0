"""Images to measure with, as OCI layouts made without dockless, and Debian's registry to keep them."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isal import igzip

from benchmarks.measure import ENVIRONMENT, LONGEST, output

_BLOCK = 1 << 20
_TAR = "application/vnd.oci.image.layer.v1.tar"


def random_image(layout: Path, sizes: list[int]) -> list[str]:
    """Write an image whose layers are random bytes of these sizes, tagged `latest`; return the layers' digests.

    No part of a layer is like another, so nothing is saved by sparse files; they are packed, so that nobody packs them.
    """
    layers, diff_ids = [], []
    for number, size in enumerate(sizes):
        file = layout / f"layer-{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        total = hashlib.sha256()
        with igzip.open(file, "wb", compresslevel=0) as out:
            for _ in range(0, size, _BLOCK):
                block = os.urandom(min(_BLOCK, size))
                total.update(block)
                out.write(block)
        layers.append(_keep(layout, file, f"{_TAR}+gzip"))
        diff_ids.append(f"sha256:{total.hexdigest()}")
    return _finish(layout, layers, diff_ids)


def real_image(layout: Path) -> list[str]:
    """Write an image of Debian's minimal root file system and two small layers; return the layers' digests.

    Raises RuntimeError where mmdebstrap cannot make the file system.
    """
    layout.mkdir(parents=True, exist_ok=True)
    tars = [layout / name for name in ("base.tar", "one.tar", "two.tar")]
    output("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(tars[0]))
    for tar in tars[1:]:
        source = tar.with_suffix("")
        source.write_bytes(os.urandom(300_000))
        output("tar", "-C", str(layout), "-cf", str(tar), source.name)
        source.unlink()
    layers, diff_ids = [], []
    for tar in tars:
        diff_ids.append(f"sha256:{_sha256(tar)}")
        output("gzip", "-n", str(tar))
        layers.append(_keep(layout, tar.with_suffix(".tar.gz"), f"{_TAR}+gzip"))
    return _finish(layout, layers, diff_ids)


@contextmanager
def docker_registry(root: Path) -> Iterator[str]:
    """Run Debian's docker-registry over `root`; yield its `host:port`."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = f"127.0.0.1:{taken.getsockname()[1]}"
    config = root / "config.yml"
    root.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f"version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\n"
        f"storage: {{filesystem: {{rootdirectory: {root}/data}}}}\nhttp: {{addr: '{host}'}}\n"
    )
    with subprocess.Popen(
        ["docker-registry", "serve", config], env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(host)
            yield host
        finally:
            process.kill()


def _wait_for(host: str) -> None:
    address, _, port = host.partition(":")
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, int(port)), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens at {host}")


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _keep(layout: Path, file: Path, media_type: str) -> dict[str, object]:
    digest = _sha256(file)
    size = file.stat().st_size
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    shutil.move(file, blobs / digest)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _document(layout: Path, media_type: str, body: dict[str, object]) -> dict[str, object]:
    file = layout / "document"
    file.write_text(json.dumps(body))
    return _keep(layout, file, media_type)


def _finish(layout: Path, layers: list[dict[str, object]], diff_ids: list[str]) -> list[str]:
    config = _document(
        layout,
        "application/vnd.oci.image.config.v1+json",
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}},
    )
    kind = "application/vnd.oci.image.manifest.v1+json"
    body = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}
    manifest = _document(layout, kind, body)
    entry = {**manifest, "annotations": {"org.opencontainers.image.ref.name": "latest"}}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return [str(one["digest"]) for one in layers]
