"""Threads that wait, so that the main thread can always be interrupted.

A compiled HTTP client does not notice Ctrl-C while it waits. Rules:
* What may block runs on a daemon thread when the main thread asks for it; the main thread waits in short slices, which
  a signal interrupts on every system. Other threads block where they are.
* An interrupted wait stops the task: everything that pauses or moves bytes asks `check()` and ends with Cancelled. A
  thread that hangs in the kernel is left behind; it ends at its idle timeout, and with the process at the latest.
* Threads never wait for a free worker, so that nothing deadlocks.
"""

import contextvars
import threading
import time
from collections.abc import Callable, Iterable, Sequence
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
        for worker in workers:
            worker.stop.set()
        until = time.monotonic() + _GRACE / 2
        for worker in workers:
            worker.done.wait(max(0.0, until - time.monotonic()))
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
