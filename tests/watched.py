"""Stores in memory that note what they are asked, and that can be made to fail, to stall and to lie."""

import threading
import time
from collections.abc import Callable, Iterator

from dockless.model.descriptor import Descriptor
from dockless.stores.base import Readable
from dockless.stores.memory import MemoryStore
from dockless.wire.stream import Reader, Source

_PIECE = 16  # bytes that a reader gives at once, at least
Meddle = Callable[[str, str], object]


def leave_alone(call: str, what: str) -> None:
    """Do nothing before a call."""


class Watched:
    """A Store over one in memory. Before each call, `meddle` gets its name and the tag or digest it is about.

    `calls` are those that were begun, in order; a push and a tag are in `done` once they are through. `read` is a
    chunk of a body. `still_open` counts the readers that nobody has closed.
    """

    def __init__(self, store: MemoryStore | None = None, meddle: Meddle = leave_alone) -> None:
        self.store = store or MemoryStore()
        self.meddle = meddle
        self.calls: list[tuple[str, str]] = []
        self.done: list[tuple[str, str]] = []
        self.still_open = 0
        self._lock = threading.Lock()

    def asked(self, call: str) -> list[str]:
        """Return what one call was made about, in order."""
        return [what for name, what in self.calls if name == call]

    def resolve(self, name: str) -> Descriptor:
        self.begin("resolve", name)
        return self.store.resolve(name)

    def fetch(self, wanted: Descriptor, offset: int = 0) -> Reader:
        self.begin("fetch", wanted.digest)
        self.store.fetch(wanted)  # raises NotFound
        return _WatchedReader(self, wanted, offset)

    def exists(self, wanted: Descriptor) -> bool:
        self.begin("exists", wanted.digest)
        return self.store.exists(wanted)

    def predecessors(self, of: Descriptor) -> Iterator[Descriptor]:
        self.begin("predecessors", of.digest)
        return self.store.predecessors(of)

    def push(self, expected: Descriptor, source: Source) -> None:
        self.begin("push", expected.digest)
        self.store.push(expected, source)
        self.end("push", expected.digest)

    def tag(self, target: Descriptor, name: str) -> None:
        self.begin("tag", name)
        self.store.tag(target, name)
        self.end("tag", name)

    def begin(self, call: str, what: str) -> None:
        """Note a call, and meddle with it."""
        with self._lock:
            if call != "read":
                self.calls.append((call, what))
        self.meddle(call, what)

    def end(self, call: str, what: str) -> None:
        """Note that a call is through."""
        with self._lock:
            self.done.append((call, what))

    def count(self, change: int) -> None:
        """Note a reader that was opened (1) or closed (-1)."""
        with self._lock:
            self.still_open += change


class Named(Watched):
    """One that gives a name's manifest in one trip, too."""

    def fetch_named(self, name: str) -> tuple[Descriptor, bytes]:
        self.begin("fetch_named", name)
        return self.store.fetch_named(name)


class Mounting(Watched):
    """One that can mount what the other store has."""

    def mount(self, wanted: Descriptor, source: Readable) -> bool:
        self.begin("mount", wanted.digest)
        if not isinstance(source, Watched):
            return False
        self.store.push(wanted, lambda offset: source.store.fetch(wanted, offset))
        return True


class _WatchedReader:
    """A body in small pieces."""

    def __init__(self, store: Watched, wanted: Descriptor, offset: int) -> None:
        self._store = store
        self._wanted = wanted
        self._rest = store.store.fetch(wanted, offset).read_chunk()
        self._is_open = True
        store.count(1)

    def read_chunk(self) -> memoryview:
        self._store.begin("read", self._wanted.digest)
        size = max(_PIECE, self._wanted.size // 4)
        chunk, self._rest = self._rest[:size], self._rest[size:]
        return chunk

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._store.count(-1)


class FailsAt:
    """Raises `error` at the `number`th call (from 1) of those named in `calls`, of all when none is.

    With `about`, only the calls about this tag or digest count.
    """

    def __init__(self, number: int, error: Exception, *calls: str, about: str = "") -> None:
        self.has_failed = False
        self._left = number
        self._error = error
        self._calls = calls
        self._about = about
        self._lock = threading.Lock()

    def __call__(self, call: str, what: str) -> None:
        if (self._calls and call not in self._calls) or self._about not in {"", what}:
            return
        with self._lock:
            self._left -= 1
            fails = self._left == 0
            self.has_failed = self.has_failed or fails
        if fails:
            raise self._error


def wait_for_threads() -> None:
    """Return when no thread of a copy is left."""
    until = time.monotonic() + 20
    while any(thread.name == "dockless" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.001)
