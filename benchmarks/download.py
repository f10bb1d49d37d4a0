"""One download in a process of its own: `python -m benchmarks.download WAY URL IMAGE_ID FILE`.

Prints as JSON what the download alone took, in seconds, and the most memory that the process ever had, in KiB. WAY is
`dockless`, `floor` (a bare socket loop) or `floor-fsync` (the same, and the file flushed to the disk).
"""

import json
import sys
import time
from pathlib import Path


def peak_memory() -> int:
    """Return the most memory this process had, in KiB. Not ru_maxrss: after an exec that is the parent's, if larger."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def dockless(url: str, image_id: str, path: str) -> float:
    """Download with dockless: image JSON, layer, checksum, fsync, rename."""
    from benchmarks.server import NAME
    from dockless.v1 import get_image

    with get_image(NAME, url) as image:
        start = time.perf_counter()
        arrived = image.download(image_id, path)
        seconds = time.perf_counter() - start
    if not arrived.verified:
        raise RuntimeError("the layer was not verified")
    return seconds


def floor(url: str, image_id: str, path: str, *, flush: bool) -> float:
    """Download with the least that Python can do: receive, hash, write."""
    import hashlib
    import os
    import socket

    host, _, port = url.removeprefix("http://").partition(":")
    start = time.perf_counter()
    with socket.create_connection((host, int(port))) as connection, Path(path).open("wb", buffering=0) as file:
        connection.sendall(f"GET /v1/images/{image_id}/layer HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        total = hashlib.sha256()
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        left = int(head.partition(b"Content-Length: ")[2].split()[0])
        buffer = memoryview(bytearray(1 << 20))
        while left:
            chunk = buffer[: connection.recv_into(buffer)]
            if not chunk:
                raise RuntimeError("the layer ended early")
            left -= len(chunk)
            total.update(chunk)
            while chunk:
                chunk = chunk[file.write(chunk) :]
        total.hexdigest()
        if flush:
            os.fsync(file.fileno())
    return time.perf_counter() - start


def main(way: str, *where: str) -> None:
    """Download once and print what it took."""
    seconds = dockless(*where) if way == "dockless" else floor(*where, flush=way == "floor-fsync")
    print(json.dumps({"seconds": seconds, "peak": peak_memory()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
