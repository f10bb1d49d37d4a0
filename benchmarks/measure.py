"""What every benchmark is made of: child processes and figures."""

import os
import select
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LONGEST = 300.0  # seconds that one child may take

# A proxy or a switch of the interpreter in the caller's environment is not what is measured. Above all
# PYTHONDONTWRITEBYTECODE: it would have every start compile every module.
ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("PYTHON") and not name.lower().endswith("_proxy")
}


DOCKLESS = [sys.executable, "-m", "dockless"]


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds on the wall and of processors, and MiB at the peak of its largest process."""

    seconds: float
    cpu: float
    peak: float


def cost(command: Sequence[str]) -> Cost:
    """Run a command in the repository's root, and return what it took. Raises RuntimeError with its own words."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        words = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{shlex.join(command)} ended with {process.returncode}: {words.decode()}")
    return Cost(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


@dataclass(frozen=True)
class Figure:
    """What was measured, one value for each round. `aim` is the most that the median should be."""

    what: str
    values: Sequence[float]
    unit: str
    aim: float | None = None

    @property
    def median(self) -> float:
        """The middle one of the values."""
        return statistics.median(self.values)

    @property
    def missed(self) -> bool:
        """Whether there is an aim, and the median is above it."""
        return self.aim is not None and self.median > self.aim


def ratio(what: str, ours: Sequence[float], theirs: Sequence[float], aim: float | None = None) -> Figure:
    """Return what each round of ours took, as a share of what the same round of theirs took."""
    return Figure(what, [mine / other for mine, other in zip(ours, theirs, strict=True)], "x", aim)


def progress(what: str, rounds: int) -> Iterator[int]:
    """Yield the numbers of the rounds, and say on standard error which one it is."""
    for number in range(1, rounds + 1):
        print(f"{what}: round {number} of {rounds}", file=sys.stderr, flush=True)
        yield number


def output(*command: str) -> str:
    """Run a command in the repository's root; return what it printed. Raises RuntimeError with its own words."""
    done = subprocess.run(
        command, cwd=ROOT, env=ENVIRONMENT, timeout=LONGEST, check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def python(*arguments: str) -> str:
    """Run this Python afresh; return what it printed."""
    return output(sys.executable, *arguments)


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """Keep a Python running that ends with its standard input; yield its first line."""
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            if not select.select([process.stdout], [], [], LONGEST)[0]:
                raise TimeoutError(f"{arguments} did not begin in time")
            yield process.stdout.readline().decode()
            process.stdin.close()
            process.wait(10)
        finally:
            process.kill()
