"""The JSONs of 2,000 images, 16 at a time. `python -m benchmarks.metadata WAY URL` is one round of a way in Python."""

import http.client
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure, output, progress, python, ratio
from benchmarks.server import NAME, image_ids, json_path, registry

TITLE = "The JSONs of 2,000 images, 16 requests at a time"
NOTES = """\
dockless is `Image.metadata_bytes` in 16 threads that share one `Image`; it checks that the JSON is an object.
http.client is 16 threads with a kept-alive connection each. Both run in a fresh Python each time, and only the requests
are timed. curl is timed with its start; what it reads goes to `/dev/null`."""
IMAGES = 2000
WIDE = 16
ROUNDS = 5


def run() -> Iterator[Figure]:
    """Measure all ways in turn, round by round."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    with registry(layer_size=1024, images=IMAGES) as served, TemporaryDirectory() as directory:
        config = Path(directory) / "urls"
        config.write_text("".join(f'url = "{served.url}{json_path(one)}"\noutput = /dev/null\n' for one in served.ids))
        for _ in progress("metadata", ROUNDS):
            for way in ("dockless", "http.client"):
                seconds, read = json.loads(python("-m", "benchmarks.metadata", way, served.url))
                _check(read, served.json_bytes)
                took[way].append(seconds)
            seconds, read = _curl(config)
            _check(read, served.json_bytes)
            took["curl"].append(seconds)
    ours = took["dockless"]
    yield Figure("dockless `metadata_bytes`", ours, "s")
    yield Figure("http.client", took["http.client"], "s")
    yield Figure(f"`curl --parallel --parallel-max {WIDE}`", took["curl"], "s")
    yield ratio("dockless / http.client", ours, took["http.client"])
    yield ratio("dockless / curl", ours, took["curl"])


def _check(read: int, right: int) -> None:
    if read != right:
        raise RuntimeError(f"{read} bytes of JSON came, not {right}")


def _curl(config: Path) -> tuple[float, int]:
    """Return the seconds it took and the bytes it read."""
    options = ["--silent", "--fail", "--parallel", "--parallel-max", str(WIDE), "--write-out", "%{size_download}\n"]
    start = time.perf_counter()
    printed = output("curl", *options, "--config", str(config))
    return time.perf_counter() - start, sum(map(int, printed.split()))


def _dockless(url: str, ids: list[str]) -> tuple[float, int]:
    from dockless.v1 import get_image

    with get_image(NAME, url) as image:
        start = time.perf_counter()
        with ThreadPoolExecutor(WIDE) as threads:
            read = sum(map(len, threads.map(image.metadata_bytes, ids)))
        return time.perf_counter() - start, read


def _http_client(url: str, ids: list[str]) -> tuple[float, int]:
    def ask(share: list[str]) -> int:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        read = 0
        for image_id in share:
            connection.request("GET", json_path(image_id))
            read += len(connection.getresponse().read())
        connection.close()
        return read

    start = time.perf_counter()
    with ThreadPoolExecutor(WIDE) as threads:
        read = sum(threads.map(ask, [ids[first::WIDE] for first in range(WIDE)]))
    return time.perf_counter() - start, read


if __name__ == "__main__":
    way = {"dockless": _dockless, "http.client": _http_client}[sys.argv[1]]
    print(json.dumps(way(sys.argv[2], image_ids(IMAGES))))
