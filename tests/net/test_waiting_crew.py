"""A crew: calls on other threads, and what follows from them on one."""

import threading
import time
from contextlib import suppress

import pytest

from dockless.model.errors import Cancelled, NotFound
from dockless.net.waiting import Crew, each, pause
from tests.watched import wait_for_threads


def test_what_follows_runs_where_the_crew_runs_and_may_add_more() -> None:
    crew = Crew(calls=3)
    found: list[tuple[int, bool]] = []

    def follow(number: int) -> None:
        found.append((number, threading.current_thread() is threading.main_thread()))
        if number < 40:
            crew.add("calls", lambda: number * 2, follow)
            crew.add("calls", lambda: number * 2 + 1, follow)

    crew.run(lambda: crew.add("calls", lambda: 1, follow))
    assert sorted(found) == [(number, True) for number in range(1, 80)]


def test_nothing_to_do() -> None:
    Crew(calls=1).run(lambda: None)


def test_a_thread_that_waits_for_more_gets_it() -> None:
    crew = Crew(calls=8)
    threads: list[int] = []

    def follow(thread: int) -> None:
        threads.append(thread)
        if len(threads) < 100:
            time.sleep(0.001)
            crew.add("calls", threading.get_ident, follow)

    crew.run(lambda: crew.add("calls", threading.get_ident, follow))
    assert len(threads) == 100
    assert len(set(threads)) < 4


def test_never_more_at_once_than_a_lane_has_and_lanes_do_not_wait_for_each_other() -> None:
    crew = Crew(slow=2, quick=1)
    is_done = threading.Event()
    running: list[int] = []
    most: list[int] = []

    def wait() -> None:
        running.append(1)
        most.append(len(running))
        assert is_done.wait(20)
        running.pop()

    def begin() -> None:
        for _ in range(6):
            crew.add("slow", wait, lambda _: None)
        crew.add("quick", lambda: None, lambda _: is_done.set())

    crew.run(begin)
    assert max(most) == 2


def test_the_heaviest_begins_first() -> None:
    crew = Crew(calls=1)
    all_added = threading.Event()
    begun: list[int] = []

    def take(weight: int) -> None:
        assert all_added.wait(20)
        begun.append(weight)

    def begin() -> None:
        for weight in (1, 5, 3, 5, 9):
            crew.add("calls", lambda weight=weight: take(weight), lambda _: None, weight)  # type: ignore[misc]
        all_added.set()

    crew.run(begin)
    assert begun in ([1, 9, 5, 5, 3], [9, 5, 5, 3, 1])


@pytest.mark.parametrize("fails", ["call", "what follows"])
def test_the_first_failure_stops_all_and_is_raised(fails: str) -> None:
    crew = Crew(calls=3)
    ended: list[str] = []
    are_running = threading.Barrier(3)

    def work() -> None:
        are_running.wait(20)
        try:
            pause(30)
        except Cancelled:
            ended.append("stopped")
            raise

    def fail(at: str) -> str:
        if at == "call":
            are_running.wait(20)
        if at == fails:
            raise NotFound("gone")
        return "what follows"

    def more() -> None:
        ended.append("begun")
        time.sleep(0.1)

    def begin() -> None:
        for _ in range(2):
            crew.add("calls", work, lambda _: None)
        crew.add("calls", lambda: fail("call"), fail)
        for _ in range(9):
            crew.add("calls", more, lambda _: pause(30))

    started = time.monotonic()
    with pytest.raises(NotFound, match="gone"):
        crew.run(begin)
    assert time.monotonic() - started < 5
    assert ended.count("stopped") == 2
    time.sleep(0.5)
    assert ended.count("begun") <= 2


@pytest.mark.parametrize("fails", [False, True])
def test_no_thread_is_left_however_it_ends(fails: bool) -> None:
    crew = Crew(calls=2)

    def begin() -> None:
        crew.add("calls", lambda: None, lambda _: None)
        time.sleep(0.05)  # the thread waits for more
        if fails:
            raise NotFound("gone")

    with suppress(NotFound):
        crew.run(begin)
    wait_for_threads()


def test_stopping_the_task_it_runs_in_stops_it_though_a_call_hangs() -> None:
    hung, ended = threading.Event(), threading.Event()

    def run() -> None:
        crew = Crew(calls=1)
        try:
            crew.run(lambda: crew.add("calls", lambda: hung.wait(20), lambda _: None))
        finally:
            ended.set()

    def fail() -> None:
        time.sleep(0.05)
        raise NotFound("gone")

    with pytest.raises(NotFound):
        each([run, fail], jobs=2)
    assert ended.wait(2)
    hung.set()
