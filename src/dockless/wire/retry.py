"""Whether and when to try again, decided in one place so that retries never multiply.

Rules:
* Worth another try: no answer at all, 408, 429 and 5xx. Nothing else gets better by asking again.
* Bounded in count and in time; the pause doubles and is jittered (between half and the whole), so that many clients
  do not come back at once.
* A `Retry-After` is a lower bound. One that is longer than `longest_wait` ends the trying: waiting silently for an hour
  is not an answer.
"""

from datetime import UTC, datetime

import msgspec

from dockless.model.errors import DocklessError, NetworkFault, RateLimited, RemoteFault


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and how long to try: `attempts` in all, within `total` seconds.

    Pauses grow from `first_pause` to `longest_pause` seconds; `longest_wait` is the longest `Retry-After`, in seconds,
    that is waited for.
    """

    attempts: int = 4
    total: float = 120.0
    first_pause: float = 0.25
    longest_pause: float = 10.0
    longest_wait: float = 60.0


def is_transient(fault: DocklessError) -> bool:
    """Say whether asking again may help."""
    if isinstance(fault, RemoteFault):
        return isinstance(fault, RateLimited) or fault.status in {408, 429} or (fault.status or 0) >= 500
    return isinstance(fault, NetworkFault)


def pause_before_retry(
    policy: RetryPolicy, faults: list[DocklessError], *, tried: int, elapsed: float, chance: float
) -> float | None:
    """Return how many seconds to wait before trying again, None to give up.

    `faults` is what the last attempt met, one for each endpoint; `tried` counts the attempts so far, `elapsed` is in
    seconds since the first, `chance` a random number from 0 to 1.
    """
    if tried >= policy.attempts or not any(map(is_transient, faults)):
        return None
    wanted = [fault.retry_after for fault in faults if isinstance(fault, RemoteFault) and fault.retry_after is not None]
    least = min(wanted, default=0.0)
    if least > policy.longest_wait:
        return None
    pause = min(policy.longest_pause, policy.first_pause * 2 ** min(tried - 1, 32)) * (0.5 + chance / 2)
    pause = max(pause, least)
    return None if elapsed + pause > policy.total else pause


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a `Retry-After` asks for (RFC 9110, section 10.2.3), None for one that says nothing.

    `now` is in seconds since 1970; a date in the past is 0.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - slow to import, rarely needed

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.fromtimestamp(now, UTC)).total_seconds())
