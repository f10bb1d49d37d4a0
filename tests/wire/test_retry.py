"""Whether and when to try again."""

import pytest

from dockless.model.errors import (
    Denied,
    DocklessError,
    InvalidDocument,
    NetworkFault,
    NotFound,
    RateLimited,
    RemoteFault,
    Unauthorized,
)
from dockless.wire.retry import RetryPolicy, is_transient, pause_before_retry, retry_after

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
CUT = NetworkFault("cut")
GONE = NotFound("gone", status=404)
POLICY = RetryPolicy(attempts=5, total=100.0, first_pause=1.0, longest_pause=5.0, longest_wait=60.0)


def pause(
    *faults: DocklessError, policy: RetryPolicy = POLICY, tried: int = 1, elapsed: float = 0.0, chance: float = 1.0
) -> float | None:
    return pause_before_retry(policy, list(faults), tried=tried, elapsed=elapsed, chance=chance)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (NetworkFault("refused"), True),
        (RateLimited("slow down"), True),
        (RemoteFault("timeout", status=408), True),
        (RemoteFault("slow down", status=429), True),
        (RemoteFault("broken", status=500), True),
        (RemoteFault("unavailable", status=503), True),
        (RemoteFault("odd", status=599), True),
        (RemoteFault("bad request", status=400), False),
        (RemoteFault("odd", status=499), False),
        (RemoteFault("redirects", status=310), False),
        (RemoteFault("no status"), False),
        (NotFound("gone", status=404), False),
        (Unauthorized("who", status=401), False),
        (Denied("no", status=403), False),
        (InvalidDocument("junk", status=500), False),
        (DocklessError("other"), False),
    ],
)
def test_no_answer_and_some_statuses_are_worth_another_try(fault: DocklessError, expected: bool) -> None:
    assert is_transient(fault) is expected


@pytest.mark.parametrize(("tried", "expected"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0)])
def test_the_pause_doubles_up_to_the_longest(tried: int, expected: float) -> None:
    assert pause(CUT, tried=tried) == expected


def test_the_first_pause_may_be_short() -> None:
    assert pause(CUT, policy=RetryPolicy(first_pause=0.01)) == 0.01


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 2.0), (0.5, 3.0), (1.0, 4.0)])
def test_the_pause_is_jittered_between_half_and_the_whole(chance: float, expected: float) -> None:
    assert pause(CUT, tried=3, chance=chance) == expected


def test_the_longest_pause_is_jittered_too() -> None:
    assert pause(CUT, tried=4, chance=0.0) == 2.5


@pytest.mark.parametrize(("tried", "again"), [(4, True), (5, False), (6, False)])
def test_tries_are_bounded_in_count(tried: int, again: bool) -> None:
    assert (pause(CUT, tried=tried) is not None) is again


@pytest.mark.parametrize(("elapsed", "again"), [(99.0, True), (99.1, False), (1000.0, False)])
def test_tries_are_bounded_in_time_with_the_pause(elapsed: float, again: bool) -> None:
    assert (pause(CUT, elapsed=elapsed) is not None) is again


@pytest.mark.parametrize("faults", [(GONE,), (GONE, Denied("no")), ()])
def test_what_does_not_get_better_is_not_asked_again(faults: tuple[DocklessError, ...]) -> None:
    assert pause(*faults) is None


def test_one_endpoint_that_may_recover_is_enough() -> None:
    assert pause(GONE, CUT) == 1.0


@pytest.mark.parametrize(("asked", "expected"), [(0.0, 1.0), (0.5, 1.0), (30.0, 30.0), (60.0, 60.0), (None, 1.0)])
def test_a_retry_after_is_a_lower_bound(asked: float | None, expected: float) -> None:
    assert pause(RateLimited("slow down", retry_after=asked)) == expected


def test_of_several_endpoints_the_one_that_asks_least_counts() -> None:
    assert pause(RateLimited("a", retry_after=300.0), RateLimited("b", retry_after=20.0), CUT) == 20.0


def test_a_retry_after_that_is_too_long_ends_the_trying() -> None:
    assert pause(RateLimited("slow down", retry_after=60.1)) is None


def test_a_retry_after_beyond_the_time_left_ends_the_trying() -> None:
    assert pause(RateLimited("slow down", retry_after=50.0), elapsed=51.0) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("0120", 120.0),
        ("9" * 5000, 999_999_999.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Tue, 14 Nov 2023 23:14:20 +0100", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60.0),
        ("Tue, 14 Nov 2023 22:13:20 GMT", 0.0),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        (None, None),
        ("", None),
        (" ", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("\u0661\u0662", None),
        ("\xb2", None),
        ("soon", None),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
        ("Tue, 14 Nov 99999 22:14:20 GMT", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(value: str | None, expected: float | None) -> None:
    assert retry_after(value, NOW) == expected
