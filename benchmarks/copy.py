"""Whole images between a registry and a layout, and between two registries: how long, how much processor and memory."""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.images import docker_registry, random_image, real_image
from benchmarks.measure import DOCKLESS, Cost, Figure, cost, progress, ratio

TITLE = "Whole images: pull into a layout, copy between registries, push"
NOTES = """\
Debian's docker-registry on both sides, dockless and skopeo as whole processes, each round into places where nothing is
yet. The floor is one `curl -s URL | tee FILE | openssl dgst -sha256` for each layer, all at once; it neither flushes
nor renames. dockless flushes every blob to the disk, skopeo none. CPU is user and system time of all processes of a
way; the registry's is in neither. Memory is the peak of the largest process."""
ROUNDS = 5
LAYERS = 4
LAYER = 256 << 20
HUGE = 4 << 30
MOST_MEMORY = 80.0  # MiB

Costs = defaultdict[str, list[Cost]]


SKOPEO = ["skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", "--insecure-policy"]


@dataclass(frozen=True)
class Case:
    """An image in the layout `root/place` and at the registry `one`; `two` is a registry to copy to."""

    name: str
    root: Path
    place: str
    layers: list[str]
    one: str
    two: str

    def ways(self, number: int) -> dict[str, list[str]]:
        """Return what is run in a round, by name."""
        out, layout = self.root / "out", f"oci:{self.root}/{self.place}:latest"
        urls = [f"http://{self.one}/v2/{self.place}/blobs/{digest}" for digest in self.layers]
        floor = " & ".join(f"curl -s {url} | tee {out}/{n} | openssl dgst -sha256" for n, url in enumerate(urls))
        start, fresh = f"{self.one}/{self.place}", f"{self.two}/{self.place}-{number}"
        return {
            "pull, dockless": [*DOCKLESS, "pull", "-q", start, f"oci:{out}:latest"],
            "pull, skopeo": [*SKOPEO, f"docker://{start}", f"oci:{out}:latest"],
            "pull, floor": ["sh", "-c", f"mkdir {out}; {floor} & wait"],
            "copy, dockless": [*DOCKLESS, "copy", "-q", start, f"{fresh}-d"],
            "copy, skopeo": [*SKOPEO, f"docker://{start}", f"docker://{fresh}-s"],
            "push, dockless": [*DOCKLESS, "push", "-q", layout, f"{fresh}-dp"],
            "push, skopeo": [*SKOPEO, layout, f"docker://{fresh}-sp"],
        }

    def run(self, costs: Costs) -> None:
        """Take every way in turn, round by round, each from an empty place."""
        cost([*SKOPEO, f"oci:{self.root}/{self.place}:latest", f"docker://{self.one}/{self.place}"])
        for number in progress(self.name, ROUNDS):
            for way, command in self.ways(number).items():
                shutil.rmtree(self.root / "out", ignore_errors=True)
                shutil.rmtree(self.root / "two" / "data", ignore_errors=True)
                os.sync()
                costs[f"{self.name}: {way}"].append(cost(command))


def run() -> Iterator[Figure]:
    """Measure all images."""
    costs: Costs = defaultdict(list)
    with TemporaryDirectory() as directory:
        root = Path(directory)
        random = random_image(root / "random", [LAYER] * LAYERS)
        real = real_image(root / "real")
        with docker_registry(root / "one") as one, docker_registry(root / "two") as two:
            cases = [
                Case(f"{LAYERS} x {LAYER >> 20} MiB", root, "random", random, one, two),
                Case("the real image", root, "real", real, one, two),
            ]
            for case in cases:
                case.run(costs)
        for case in cases:
            yield from _figures(costs, case.name)
        yield from _huge(root)


def _figures(costs: Costs, name: str) -> Iterator[Figure]:
    for act, floor in (("pull", 1.2), ("copy", None), ("push", None)):
        found = {way: costs[f"{name}: {act}, {way}"] for way in ("dockless", "skopeo", "floor")}
        for way, values in found.items():
            if values:
                yield Figure(f"{name}: {act}, {way}", [one.seconds for one in values], "s")
        ours, theirs = ([one.seconds for one in found[way]] for way in ("dockless", "skopeo"))
        yield ratio(f"{name}: {act}, dockless / skopeo", ours, theirs, aim=0.9)
        if floor is not None:
            yield ratio(f"{name}: {act}, dockless / floor", ours, [one.seconds for one in found["floor"]], aim=floor)
        cpu, their_cpu = ([one.cpu for one in found[way]] for way in ("dockless", "skopeo"))
        yield ratio(f"{name}: {act}, CPU, dockless / skopeo", cpu, their_cpu)
        yield Figure(f"{name}: {act}, dockless, memory", [one.peak for one in found["dockless"]], "MiB", MOST_MEMORY)


def _huge(root: Path) -> Iterator[Figure]:
    """A blob of 4 GiB there and back: only the memory counts."""
    layout = root / "huge"
    random_image(layout, [HUGE])
    with docker_registry(root / "three") as host:
        push = cost([*DOCKLESS, "push", "-q", f"oci:{layout}:latest", f"{host}/huge"])
        shutil.rmtree(layout)
        pull = cost([*DOCKLESS, "pull", "-q", f"{host}/huge", f"oci:{layout}:latest"])
    for act, found in (("push", push), ("pull", pull)):
        yield Figure(f"one blob of 4 GiB: {act}, dockless, memory", [found.peak], "MiB", MOST_MEMORY)
