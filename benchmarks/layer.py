"""A layer of 512 MiB over loopback to disk, with its checksum: how long it takes, and how much memory."""

import json
import os
import shlex
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import LONGEST, Figure, output, progress, python, ratio
from benchmarks.server import Registry, registry

TITLE = "A layer of 512 MiB over loopback to disk, with its checksum"
NOTES = """\
dockless and the bare loops run in a fresh Python each time, and only the download is timed, not the interpreter's start
and the imports; the row "whole process" holds those, too. dockless asks for the image's JSON first, flushes the file to
the disk and renames it. Neither the pipeline of curl nor the first loop flushes; the second loop does. The loops do no
more than `recv_into` 1 MiB, hash and write. Memory is the peak of the whole process above that of a Python that does
nothing (`VmHWM`)."""
SIZE = 512 << 20
ROUNDS = 9
MOST_MEMORY = 64.0  # MiB


def run() -> Iterator[Figure]:
    """Measure all ways in turn, round by round."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    with registry(SIZE) as served, TemporaryDirectory() as directory:
        file = Path(directory) / "layer"
        for _ in progress("layer", ROUNDS):
            _settle(file)
            start = time.perf_counter()
            found = _download("dockless", served, file)
            took["whole"].append(time.perf_counter() - start)
            took["dockless"].append(found["seconds"])
            took["memory"].append((found["peak"] - _bare_peak()) / 1024)
            _settle(file)
            took["curl"].append(_pipeline(served, file))
            for way in ("floor", "floor-fsync"):
                _settle(file)
                took[way].append(_download(way, served, file)["seconds"])
    ours = took["dockless"]
    yield Figure("dockless `Image.download`", ours, "s")
    yield Figure("dockless, whole process", took["whole"], "s")
    yield Figure("`curl -s URL \\| tee FILE \\| openssl dgst -sha256`", took["curl"], "s")
    yield Figure("bare socket loop", took["floor"], "s")
    yield Figure("bare socket loop, and fsync", took["floor-fsync"], "s")
    yield ratio("dockless / pipeline of curl", ours, took["curl"], aim=0.6)
    yield ratio("dockless / bare loop", ours, took["floor"], aim=1.0)
    yield ratio("dockless / bare loop and fsync", ours, took["floor-fsync"])
    yield Figure("dockless, memory above the bare interpreter", took["memory"], "MiB", aim=MOST_MEMORY)


def _settle(file: Path) -> None:
    """Leave nothing of the round before: neither the file, nor blocks that still go to the disk."""
    file.unlink(missing_ok=True)
    os.sync()


def _download(way: str, served: Registry, file: Path) -> dict[str, float]:
    printed = python("-m", "benchmarks.download", way, served.url, served.ids[0], str(file))
    _check(file)
    result: dict[str, float] = json.loads(printed)
    return result


def _pipeline(served: Registry, file: Path) -> float:
    command = f"curl -s -m {LONGEST} {served.layer_url} | tee {shlex.quote(str(file))} | openssl dgst -sha256"
    start = time.perf_counter()
    printed = output("sh", "-c", command)
    seconds = time.perf_counter() - start
    _check(file)
    if served.layer_sha256 not in printed:
        raise RuntimeError("openssl found another checksum")
    return seconds


def _check(file: Path) -> None:
    if file.stat().st_size != SIZE:
        raise RuntimeError(f"{file.stat().st_size} bytes arrived, not {SIZE}")


def _bare_peak() -> int:
    return int(python("-c", "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"))
