"""Threads that wait: results, failures, and what a signal to the main thread does."""

import os
import signal
import sys
import threading
import time

import pytest

from dockless.model.errors import Cancelled, NotFound
from dockless.net.waiting import check, each, off_main, pause, wait_for


class TestOffMain:
    def test_the_main_thread_does_not_run_it(self) -> None:
        assert off_main(threading.current_thread) is not threading.main_thread()

    def test_another_thread_runs_it_itself(self) -> None:
        ran_on: list[threading.Thread] = []
        other = threading.Thread(target=lambda: ran_on.append(off_main(threading.current_thread)))
        other.start()
        other.join(20)
        assert ran_on == [other]

    def test_its_failure_is_raised(self) -> None:
        def fail() -> None:
            raise NotFound("gone")

        with pytest.raises(NotFound, match="gone"):
            off_main(fail)

    @pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")
    def test_a_signal_interrupts_the_wait_and_stops_the_task(self) -> None:
        stopped = threading.Event()

        def work() -> None:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                pause(30)
            except Cancelled:
                stopped.set()
                raise

        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            off_main(work)
        assert stopped.is_set()
        assert time.monotonic() - started < 1.2

    @pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")
    def test_a_task_that_cannot_be_stopped_is_left_behind(self) -> None:
        hung = threading.Event()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            off_main(lambda: hung.wait(30))
        assert time.monotonic() - started < 1.2
        hung.set()


class TestEach:
    def test_results_come_in_order(self) -> None:
        def take(number: int) -> int:
            time.sleep(0.01 * (5 - number))
            return number

        assert each([lambda number=number: take(number) for number in range(5)], jobs=3) == list(range(5))  # type: ignore[misc]

    def test_nothing_to_do(self) -> None:
        assert each([], jobs=4) == []

    def test_never_more_at_once_than_asked(self) -> None:
        running = 0
        most = 0
        lock = threading.Lock()

        def work() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.02)
            with lock:
                running -= 1

        each([work] * 12, jobs=3)
        assert most == 3

    def test_the_first_failure_stops_the_others_and_is_raised(self) -> None:
        ended: list[str] = []

        def fail() -> None:
            time.sleep(0.05)
            raise NotFound("gone")

        def work() -> None:
            try:
                pause(30)
            except Cancelled:
                ended.append("stopped")
                raise

        started = time.monotonic()
        with pytest.raises(NotFound):
            each([work, work, fail, work, work], jobs=3)
        assert time.monotonic() - started < 2
        assert ended == ["stopped", "stopped"]

    def test_stopping_the_task_stops_its_children(self) -> None:
        ended = threading.Event()

        def child() -> None:
            try:
                pause(30)
            finally:
                ended.set()

        def fail() -> None:
            time.sleep(0.05)
            raise NotFound("gone")

        with pytest.raises(NotFound):
            each([lambda: each([child], jobs=1), fail], jobs=2)
        assert ended.wait(2)


def test_a_pause_lasts_as_long_as_it_should() -> None:
    started = time.monotonic()
    pause(0.25)
    assert 0.25 <= time.monotonic() - started < 1


def test_outside_a_task_nothing_is_stopped() -> None:
    check()


def test_a_stopped_task_waits_for_no_event() -> None:
    never = threading.Event()
    ended: list[str] = []

    def work() -> None:
        try:
            wait_for(never)
        except Cancelled:
            ended.append("stopped")
            raise

    def fail() -> None:
        time.sleep(0.05)
        raise NotFound("gone")

    with pytest.raises(NotFound):
        each([work, fail], jobs=2)
    assert ended == ["stopped"]


def test_an_event_that_is_set_ends_the_wait() -> None:
    event = threading.Event()
    threading.Timer(0.05, event.set).start()
    wait_for(event)
    assert event.is_set()
