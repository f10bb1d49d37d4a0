"""Threads that wait, so that the main thread can always be interrupted.

A compiled HTTP client does not notice Ctrl-C while it waits. Rules:
* What may block runs on a daemon thread when the main thread asks for it; the main thread waits in short slices, which
  a signal interrupts on every system. Other threads block where they are.
* An interrupted wait stops the task: everything that pauses or moves bytes asks `check()` and ends with Cancelled. A
  thread that hangs in the kernel is left behind; it ends at its idle timeout, and with the process at the latest.
* Threads never wait for a free worker, so that nothing deadlocks.
"""

import contextvars
import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Generic, TypeVar

from dockless.model.errors import Cancelled

T = TypeVar("T")

_SLICE = 0.1  # seconds
_GRACE = 0.4  # seconds that a stopped task has to leave things tidy


class _Stop:
    """Whether a task should end: because it was told so, or the task that started it was."""

    def __init__(self, parent: "_Stop | None") -> None:
        self._event = threading.Event()
        self._parent = parent

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set() or (self._parent is not None and self._parent.is_set())


_stop: contextvars.ContextVar[_Stop | None] = contextvars.ContextVar("dockless_stop", default=None)


class _Task(Generic[T]):
    """One call under way on a daemon thread."""

    def __init__(self, call: Callable[[], T]) -> None:
        self.stop = _Stop(_stop.get())
        self.done = threading.Event()
        self.error: BaseException | None = None
        self._call = call
        self._result: T
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run,), daemon=True, name="dockless").start()

    def _run(self) -> None:
        _stop.set(self.stop)
        try:
            self._result = self._call()
        except BaseException as error:  # handed to the one who waits
            self.error = error
        finally:
            self.done.set()

    def result(self) -> T:
        try:
            while not self.done.wait(_SLICE):
                pass
        except BaseException:
            self.stop.set()
            self.done.wait(_GRACE)
            raise
        if self.error is not None:
            raise self.error
        return self._result


def off_main(call: Callable[[], T]) -> T:
    """Run `call` where it cannot keep the main thread from a signal, and return what it returns."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    return _Task(call).result()


def leave(call: Callable[[], object]) -> None:
    """Run `call` on a thread of its own and do not wait for it."""
    _Task(call)


def begin(call: Callable[[], T], done: Callable[[T | None, BaseException | None], object]) -> Callable[[], None]:
    """Run `call` on a thread of its own, which tells `done` the result or the error; return what stops it."""

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # handed to the one who waits
            done(None, error)
        else:
            done(result, None)

    return _Task(run).stop.set


def check() -> None:
    """Raise Cancelled when the task this runs in was stopped."""
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise Cancelled("stopped")


def pause(seconds: float) -> None:
    """Wait, and raise Cancelled when the task is stopped meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(left, _SLICE))
    check()


def wait_for(event: threading.Event) -> None:
    """Wait until `event` is set, and raise Cancelled when the task is stopped meanwhile."""
    while not event.wait(_SLICE):
        check()


def each(calls: Sequence[Callable[[], T]], jobs: int) -> list[T]:
    """Run the calls, at most `jobs` at once, begun in order; return their results in order.

    The first failure stops the others and is raised.
    """
    return off_main(lambda: _each(calls, jobs))


def _each(calls: Sequence[Callable[[], T]], jobs: int) -> list[T]:
    results: dict[int, T] = {}
    waiting = iter(enumerate(calls))
    lock = threading.Lock()

    def work() -> None:
        while True:
            check()
            with lock:
                number, call = next(waiting, (-1, None))
            if call is None:
                return
            results[number] = call()

    workers = [_Task(work) for _ in range(min(jobs, len(calls)))]
    try:
        _join(workers)
    except BaseException:
        _stop_all(workers)
        raise
    return [results[number] for number in range(len(calls))]


def _join(workers: Iterable[_Task[None]]) -> None:
    running = set(workers)
    while running:
        check()
        for worker in [one for one in running if one.done.wait(_SLICE / len(running))]:
            running.remove(worker)
            if worker.error is not None:
                raise worker.error


class _Lane:
    """Calls that wait, the heaviest first; how many threads wait for one, and how many more there may be."""

    def __init__(self, size: int) -> None:
        self.changed = threading.Condition()
        self.is_open = True
        self.idle = 0
        self.free = size
        self.waiting: list[tuple[int, int, Callable[[], Callable[[], object]]]] = []

    def next(self) -> Callable[[], Callable[[], object]] | None:
        """Return the call to be made next, None when there will be none: the thread may end."""
        with self.changed:
            self.idle += 1
            self.changed.wait_for(lambda: self.waiting or not self.is_open)
            self.idle -= 1
            if self.waiting:
                return heapq.heappop(self.waiting)[-1]
            self.free += 1
            return None


class Crew:
    """Calls on other threads, and what follows from their results on the thread that runs the crew.

    Each lane has at most so many threads, begun when there is work; within a lane the heaviest call begins first. A
    crew runs once.
    """

    def __init__(self, **lanes: int) -> None:
        self._lanes = {name: _Lane(size) for name, size in lanes.items()}
        self._numbers = itertools.count()
        self._follows: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._left = 0
        self._workers: list[_Task[None]] = []

    def add(self, lane: str, call: Callable[[], T], then: Callable[[T], object], weight: int = 0) -> None:
        """Have `call` made, and its result given to `then`. For what runs inside of `run`, on its thread, only."""

        def work() -> Callable[[], object]:
            result = call()
            return lambda: then(result)

        place = self._lanes[lane]
        self._left += 1
        with place.changed:
            heapq.heappush(place.waiting, (-weight, next(self._numbers), work))
            place.changed.notify()
            if not place.free or len(place.waiting) <= place.idle:
                return
            place.free -= 1
        self._workers = [one for one in self._workers if not one.done.is_set()]
        self._workers.append(_Task(lambda: self._work(place)))

    def run(self, begin: Callable[[], object]) -> None:
        """Let `begin` add the first calls, and return when nothing is left to do.

        The first failure, of a call or of what follows, stops all and is raised.
        """
        try:
            begin()
            while self._left:
                check()
                try:
                    follow = self._follows.get(timeout=_SLICE)
                except queue.Empty:
                    continue
                self._left -= 1
                follow()
        except BaseException:
            self._close()
            _stop_all(self._workers)
            raise
        self._close()

    def _close(self) -> None:
        for lane in self._lanes.values():
            with lane.changed:
                lane.is_open = False
                lane.changed.notify_all()

    def _work(self, lane: _Lane) -> None:
        while (work := lane.next()) is not None:
            check()
            try:
                self._follows.put(work())
            except BaseException as error:  # raised where the crew is run
                self._follows.put(partial(_raise, error))


def _raise(error: BaseException) -> None:
    raise error


def _stop_all(workers: Sequence[_Task[None]]) -> None:
    for worker in workers:
        worker.stop.set()
    until = time.monotonic() + _GRACE / 2
    for worker in workers:
        worker.done.wait(max(0.0, until - time.monotonic()))
