"""How long a command takes from nothing: the whole process."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Figure, output, progress
from benchmarks.server import NAME, registry

TITLE = "Cold start"
NOTES = """\
Wall time of the whole process, its bytecode compiled before. `dockless` is the installed console script. `tags` asks
the index and one endpoint on loopback."""
ROUNDS = 15
VERSION_AIM = 80.0  # ms
TAGS_AIM = 110.0  # ms


def run() -> Iterator[Figure]:
    """Measure all commands in turn, round by round; the first round only warms up."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    with registry(layer_size=1024) as served:
        commands = _commands(served.host)
        for number in progress("cold start", ROUNDS + 1):
            for what, (command, wanted, _) in commands.items():
                start = time.perf_counter()
                printed = output(*command)
                seconds = time.perf_counter() - start
                if wanted not in printed:
                    raise RuntimeError(f"{what} printed {printed!r}")
                if number > 1:
                    took[what].append(seconds * 1000)
    for what, (_, _, aim) in commands.items():
        yield Figure(f"`{what}`", took[what], "ms", aim)


def _commands(host: str) -> dict[str, tuple[list[str], str, float | None]]:
    """Return each command by its name in the table, with what it must print and the aim it has."""
    python = sys.executable
    script = Path(python).with_name("dockless")
    ways = {"python -m dockless": [python, "-m", "dockless"]}
    if script.exists():
        ways["dockless"] = [str(script)]
    commands: dict[str, tuple[list[str], str, float | None]] = {
        "python -c pass": ([python, "-c", "pass"], "", None),
        "python -c 'import click'": ([python, "-c", "import click"], "", None),
    }
    for name, way in ways.items():
        commands[f"{name} --version"] = ([*way, "--version"], "dockless", VERSION_AIM)
        commands[f"{name} tags v1:HOST/NAME"] = ([*way, "tags", f"v1:{host}/{NAME}"], "latest", TAGS_AIM)
    return commands
