"""Headers and settings that anyone may write: none of them raises what nobody expects."""

import math
from datetime import UTC, datetime
from email.utils import format_datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.errors import InvalidDocument
from dockless.model.reference import is_registry
from dockless.wire.http import Headers
from dockless.wire.proxy import Proxies, proxy_for
from dockless.wire.retry import retry_after
from dockless.wire.v1.conversation import endpoints

thoroughly = settings(deadline=None, max_examples=200)

hosts = st.builds(
    "{}{}".format,
    st.lists(st.text("ab01", min_size=1, max_size=4), min_size=1, max_size=3).map(".".join),
    st.just("") | st.integers(1, 65535).map(":{}".format),
).filter(is_registry)
blanks = st.sampled_from(["", " ", "\t", ",", " , "])
header_texts = st.text() | st.text("aZ0.:/[]@, \t\\", max_size=20)
whens = st.floats(0, 4e9)
dates = st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
date_texts = st.from_regex(
    r"(Mon, )?[0-9]{1,3}[ -][A-Za-z]{3}[ -][0-9]{1,5} [0-9:]{0,9} (GMT|[A-Z]{1,4}|[+-][0-9]{0,6})", fullmatch=True
)
schemes = st.sampled_from(["http", "https"])
texts = st.text(max_size=30) | st.text("ab.:*/[]0²٣, ", max_size=20)


def naming(values: list[str]) -> Headers:
    return Headers([("X-Docker-Endpoints", value) for value in values])


@thoroughly
@given(st.lists(st.lists(st.tuples(hosts, blanks), min_size=1, max_size=4), min_size=1, max_size=4))
def test_endpoints_come_out_in_order_however_they_are_written(groups: list[list[tuple[str, str]]]) -> None:
    values = [",".join(f"{blank}{host}{blank}" for host, blank in group) for group in groups]

    assert list(endpoints(naming(values), "the index")) == [host for group in groups for host, _ in group]


@thoroughly
@given(st.lists(header_texts, max_size=5))
def test_any_header_is_hosts_in_its_order_or_refused(values: list[str]) -> None:
    try:
        found = endpoints(naming(values), "the index")
    except InvalidDocument:
        return
    assert found
    assert all(map(is_registry, found))
    rest = ",".join(values)
    for host in found:
        assert host in rest
        rest = rest[rest.index(host) + len(host) :]


@thoroughly
@given(st.text() | date_texts, whens)
def test_any_retry_after_is_a_pause_or_nothing(value: str, now: float) -> None:
    pause = retry_after(value, now)

    assert pause is None or (math.isfinite(pause) and pause >= 0)


@thoroughly
@given(dates, whens)
def test_a_date_is_the_time_until_then(date: datetime, now: float) -> None:
    pause = retry_after(format_datetime(date, usegmt=True), now)

    assert pause is not None
    assert math.isclose(pause, max(0.0, date.replace(microsecond=0).timestamp() - now), abs_tol=1e-3)


@thoroughly
@given(st.integers(0, 10**9 - 1))
def test_seconds_are_seconds(seconds: int) -> None:
    assert retry_after(str(seconds), 0.0) == seconds


@thoroughly
@given(schemes, hosts, st.text(max_size=20), texts)
def test_any_settings_give_a_proxy_or_none(scheme: str, host: str, proxy: str, no_proxy: str) -> None:
    found = proxy_for(f"{scheme}://{host}/", Proxies(http=proxy, https=proxy, no_proxy=no_proxy))

    assert found is None or (found.endswith(proxy) and "://" in found)


@thoroughly
@given(schemes, hosts, texts, texts)
def test_a_host_that_is_listed_goes_straight_whatever_stands_around_it(
    scheme: str, host: str, before: str, after: str
) -> None:
    no_proxy = f"{before},{host},{after}"

    assert proxy_for(f"{scheme}://{host}/", Proxies(http="proxy", https="proxy", no_proxy=no_proxy)) is None
