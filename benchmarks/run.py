"""Run the benchmarks, all or those named, and print what they find; a run of all writes RESULTS.md."""

import argparse
import os
import platform
import shutil
import ssl
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from types import ModuleType

from benchmarks import cold_start, copy, layer, metadata
from benchmarks.measure import ROOT, Figure, output

BENCHMARKS = {"layer": layer, "copy": copy, "metadata": metadata, "cold_start": cold_start}
RESULTS = ROOT / "benchmarks" / "RESULTS.md"

_HEAD = ("what", "median", "lowest to highest", "aim", "")
_WIDTHS = (56, 9, 22, 8, 10)
_DIGITS = {"s": 3, "ms": 1, "MiB": 1, "x": 2}


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"one of {', '.join(BENCHMARKS)}; none: all of them")
    names = parser.parse_args().names
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    if lacking := _lacking():
        sys.exit(f"error: the benchmarks need {', '.join(lacking)}")
    page = [*_facts(), ""]
    print("\n".join(page))
    figures: list[Figure] = []
    for name in names or BENCHMARKS:
        for line, figure in _table(BENCHMARKS[name]):
            print(line, flush=True)
            page.append(line)
            figures += [figure] if figure else []
    verdict = _verdict(figures)
    print("\n".join(verdict))
    if names:
        print(f"\n{RESULTS.name} is written by a run of all benchmarks only.")
    else:
        RESULTS.write_text("\n".join(["# Results", "", *verdict, "", *page]), encoding="utf-8")
        print(f"\nWrote {RESULTS.relative_to(ROOT)}.")


def _lacking() -> list[str]:
    tools = [
        tool
        for tool in ("curl", "tee", "openssl", "skopeo", "docker-registry", "mmdebstrap")
        if shutil.which(tool) is None
    ]
    return tools if sys.platform == "linux" else ["Linux", *tools]


def _facts() -> list[str]:
    """Say what was run, when, and on what; nothing that names the machine."""
    curl = output("curl", "--version").split()[1]
    openssl = output("openssl", "version").split()[1]
    where = output("df", "--output=fstype", tempfile.gettempdir()).split()[-1]
    return [
        f"`python -m benchmarks.run` on {datetime.now(UTC):%Y-%m-%d}, dockless {version('dockless')}.",
        "",
        f"- {os.cpu_count()} CPUs, {platform.machine()}; load {os.getloadavg()[0]:.2f} at the start",
        f"- {platform.system()} {platform.release()}; temporary files on {where}",
        f"- Python {platform.python_version()} with {' '.join(ssl.OPENSSL_VERSION.split()[:2])},"
        f" pyreqwest {version('pyreqwest')}, click {version('click')}",
        f"- curl {curl}, openssl {openssl}",
        "",
        "In each round all ways take their turn, on 127.0.0.1 against a server in a process of its own. A ratio (x) is",
        "taken within each round. Medians count against the aims.",
    ]


def _table(benchmark: ModuleType) -> Iterator[tuple[str, Figure | None]]:
    """Run a benchmark; yield its part of the page line by line, with the figure that a line holds."""
    for line in (f"## {benchmark.TITLE}", "", benchmark.NOTES, "", _row(*_HEAD), _row(*("-" * n for n in _WIDTHS))):
        yield line, None
    rounds = 0
    for figure in benchmark.run():
        rounds = len(figure.values)
        yield _figure_row(figure), figure
    yield f"\n{rounds} rounds.\n", None


def _figure_row(figure: Figure) -> str:
    spread = f"{_text(figure, min(figure.values))} to {_text(figure, max(figure.values))}"
    aim = "" if figure.aim is None else f"{figure.aim:g} {figure.unit}"
    met = "" if figure.aim is None else "**missed**" if figure.missed else "met"
    return _row(figure.what, f"{_text(figure, figure.median)} {figure.unit}", spread, aim, met)


def _text(figure: Figure, value: float) -> str:
    return f"{value:.{_DIGITS[figure.unit]}f}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))} |"


def _verdict(figures: list[Figure]) -> list[str]:
    aimed = [figure for figure in figures if figure.aim is not None]
    missed = [figure for figure in aimed if figure.missed]
    met = f"{len(aimed) - len(missed)} of {len(aimed)} aims are met."
    return [
        met,
        *(f"- Missed: {one.what}: {_text(one, one.median)} {one.unit}, aim {one.aim:g} {one.unit}" for one in missed),
    ]


if __name__ == "__main__":
    main()
