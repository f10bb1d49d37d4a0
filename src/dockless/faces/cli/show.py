"""What a run shows: results on standard output, progress and notices on standard error.

Rules:
* Nothing from a registry reaches a terminal unless it is printable; JSON escapes what is not.
* On a terminal each blob on its way has a bar; elsewhere there is a plain line now and then.
* A blob that is done has one line; one that was there already has none, unless -v asks for it: the last line of a run
  sums these up.
"""

import sys
import threading
import time
from collections.abc import Iterable
from itertools import islice, zip_longest
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click
import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.events import BlobAdvanced, BlobFinished, BlobMounted, BlobStarted, Event, Notice, Retrying
from dockless.model.printable import printable
from dockless.model.v1_documents import V1Config

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_NOW_AND_THEN = 5.0  # seconds


def line(text: str) -> None:
    """Print one line of a result."""
    click.echo(printable(text))


def table(rows: list[tuple[str, ...]]) -> None:
    """Print rows with aligned columns; the last column is as long as it is."""
    table_as_it_comes(rows, len(rows))


def table_as_it_comes(rows: Iterable[tuple[str, ...]], at_once: int = 16) -> None:
    """Print rows with aligned columns, so many at once; a column only ever becomes wider."""
    widths: list[int] = []
    waiting = iter(rows)
    while some := [tuple(printable(cell) for cell in row) for row in islice(waiting, at_once)]:
        columns = zip_longest(widths, *([len(cell) for cell in row] for row in some), fillvalue=0)
        widths = [max(column) for column in columns]
        for row in some:
            click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def facts(*pairs: tuple[str, str | None]) -> None:
    """Print what is known, one fact a line."""
    table([(key, value) for key, value in pairs if value])


def starts(config: V1Config) -> list[tuple[str, str | None]]:
    """Return the facts of what a container of a v1 image starts with."""

    def words(text: list[str] | str | None) -> str:
        return " ".join(text) if isinstance(text, list) else text or ""

    return [
        ("User", config.user),
        ("Directory", config.working_dir),
        ("Entrypoint", words(config.entrypoint)),
        ("Command", words(config.cmd)),
        *(("Variable", variable) for variable in config.env or ()),
        *(("Label", f"{key}={value}") for key, value in (config.labels or {}).items()),
        *(("Port", port) for port in config.exposed_ports or ()),
        *(("Volume", volume) for volume in config.volumes or ()),
    ]


def document(raw: bytes, decoded: object | None) -> None:
    """Print a document byte for byte, or what it decodes to as JSON; on a terminal nothing in it drives that."""
    if decoded is not None:
        json(decoded)
    elif sys.stdout.isatty():
        click.echo(printable(raw.decode(errors="replace"), limit=None))
    else:
        sys.stdout.buffer.write(raw)


def descriptor(location: str, found: Descriptor, *, as_json: bool) -> None:
    """Print what a location names: its digest, or all of it as JSON."""
    if as_json:
        facts = {"digest": found.digest, "media_type": found.media_type, "size": found.size}
        json({"location": location} | facts)
    else:
        line(found.digest)


def as_dict(value: object) -> dict[str, object]:
    """Return a struct as JSON has it."""
    made: dict[str, object] = msgspec.to_builtins(value)
    return made


def short(digest: str) -> str:
    """Return the beginning of a digest or an image id, enough for people."""
    return digest.rpartition(":")[2][:12]


def json(value: object) -> None:
    """Print a value as JSON; what is not ASCII is escaped, so no terminal is driven by it."""
    import json as standard  # msgspec leaves non-ASCII as it is

    click.echo(standard.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=True))


def count(number: int, what: str) -> str:
    """Return a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def size(count: int | None) -> str:
    """Return a number of bytes for people."""
    if count is None:
        return "unknown size"
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


class Show:
    """Progress and notices of one run; use it as a context manager around what takes long."""

    def __init__(self, *, quiet: bool, verbose: bool = False) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._sizes: dict[str, int | None] = {}
        self._spoke = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True))
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def observe(self, event: Event) -> None:
        """Show an event; called from any thread."""
        if self._quiet:
            return
        with self._lock:
            match event:
                case Notice(text):
                    self._say(f"note: {text}")
                case Retrying(cause, pause):
                    self._say(f"retrying in {pause:.1f} s: {cause}")
                case BlobStarted(layer, total, offset):
                    self._started(layer, total, offset)
                case BlobAdvanced(layer, done):
                    self._advanced(layer, done)
                case BlobFinished(layer, total, verified):
                    self._finished(layer, total, verified)
                case BlobMounted(layer, total):
                    self._say(f"{short(layer)}: {size(total)}, mounted")

    def sum_up(self, text: str) -> None:
        """Say the last line of a run."""
        if not self._quiet:
            click.echo(printable(text), err=True)

    def _started(self, layer: str, total: int | None, offset: int) -> None:
        self._sizes[layer] = total
        if offset:
            self._say(f"{short(layer)}: resuming at {size(offset)}")
        if self._bars is None:
            return
        if layer in self._tasks:  # a fresh start
            self._bars.update(self._tasks[layer], completed=offset)
        else:
            self._tasks[layer] = self._bars.add_task(short(layer), total=total, completed=offset)

    def _advanced(self, layer: str, done: int) -> None:
        if self._bars is not None:
            self._bars.update(self._tasks[layer], completed=done)
        elif time.monotonic() - self._spoke > _NOW_AND_THEN:
            self._say(f"{short(layer)}: {size(done)} of {size(self._sizes[layer])}")

    def _finished(self, layer: str, total: int, verified: bool | None) -> None:
        said = {True: "verified", False: "unverified: the registry gave no checksum", None: "here already"}[verified]
        if self._bars is not None and layer in self._tasks:
            self._bars.remove_task(self._tasks.pop(layer))
        if verified is not None or self._verbose:
            self._say(f"{short(layer)}: {size(total)}, {said}")

    def _say(self, text: str) -> None:
        self._spoke = time.monotonic()
        if self._bars is not None:
            self._bars.console.print(printable(text), markup=False, highlight=False)
        else:
            click.echo(printable(text), err=True)
