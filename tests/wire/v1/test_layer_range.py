"""Ranges of a layer, as the original server answers them (v1-wire.md, "Ranges, on a layer of 409600 bytes")."""

import pytest

from dockless.model.errors import InvalidDocument
from dockless.wire.http import Headers, content_length
from dockless.wire.v1.layer_range import Position, position, wanted_range

SIZE = 409600


def ranged(content_range: str) -> Headers:
    return Headers([("Content-Range", content_range), ("Content-Length", "7")])


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [
        (0, None, None),
        (0, SIZE, None),
        (0, 0, None),
        (100, SIZE, "bytes=100-409599"),
        (1, SIZE, "bytes=1-409599"),
        (409598, SIZE, "bytes=409598-409599"),
    ],
)
def test_a_range_is_closed_as_soon_as_the_size_is_known(offset: int, size: int | None, expected: str | None) -> None:
    assert wanted_range(offset, size) == expected


def test_a_range_is_open_while_the_size_is_unknown() -> None:
    assert wanted_range(10, None) == "bytes=10-"


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [(409599, SIZE, "bytes=409598-409599"), (SIZE, SIZE, "bytes=409598-409599"), (2, 3, "bytes=1-2")],
)
def test_the_last_byte_is_asked_for_with_the_one_before_it(offset: int, size: int, expected: str) -> None:
    assert wanted_range(offset, size) == expected


@pytest.mark.parametrize(("offset", "size"), [(1, 1), (1, 2), (2, 2), (5, 0)])
def test_a_layer_too_short_for_a_range_is_asked_for_whole(offset: int, size: int) -> None:
    assert wanted_range(offset, size) is None


@pytest.mark.parametrize(
    ("asked", "said", "start"),
    [
        ("bytes=0-99", "0-99/409600", 0),
        ("bytes=100-199", "100-199/409600", 100),
        ("bytes=0-1", "0-1/409600", 0),
        ("bytes=409598-409599", "409598-409599/409600", 409598),
        ("bytes=10-", "10-409600/409600", 10),
        ("bytes=409599-", "409599-409600/409600", 409599),
        ("bytes=0-999999", "0-999999/409600", 0),
    ],
)
def test_a_206_of_the_original_starts_where_it_says(asked: str, said: str, start: int) -> None:
    assert position(206, ranged(said), asked) == Position(start, SIZE)


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-0", "bytes=409599-409599", "bytes=409600-", "bytes=500000-", "bytes=5-2"],
)
def test_a_416_of_the_original_is_not_usable(asked: str) -> None:
    assert position(416, Headers([("Content-Length", "0")]), asked) is None


@pytest.mark.parametrize("asked", [None, "bytes=-100", "bytes=abc", "bytes=0-1,5-6", "bytes=10-"])
def test_a_200_is_the_whole_layer_whatever_was_asked(asked: str | None) -> None:
    assert position(200, Headers([("Content-Length", "409600")]), asked) == Position(0, SIZE)


def test_a_200_need_not_say_how_long_the_layer_is() -> None:
    assert position(200, Headers(), None) == Position(0, None)


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("bytes 10-99/100", 100),
        ("bytes=10-99/100", 100),
        ("10-99/100", 100),
        (" bytes  10-99/100 ", 100),
        ("bytes 10-99/*", None),
        ("bytes 10-99/999999999999999", 999_999_999_999_999),
    ],
)
def test_a_content_range_is_read_with_and_without_the_word(said: str, size: int | None) -> None:
    assert position(206, ranged(said), "bytes=10-99") == Position(10, size)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "bytes",
        "bytes */100",
        "bytes -99/100",
        "bytes 10-/100",
        "bytes 10-99",
        "bytes 10-99/",
        "bytes 10-99/x",
        "bytes 10-99/100 junk",
        "bytes 10-99/100, 0-1/2",
        "items 10-99/100",
        "bytes +10-99/100",
        "bytes \u0661\u0660-99/100",
        "bytes " + "0" * 14 + "10-99/100",
        "bytes 10-99/" + "9" * 16,
    ],
)
def test_an_answer_that_does_not_say_where_it_starts_is_not_usable(said: str) -> None:
    assert position(206, ranged(said), "bytes=10-99") is None


def test_an_answer_without_a_content_range_is_not_usable() -> None:
    assert position(206, Headers(), "bytes=10-99") is None


@pytest.mark.parametrize("said", ["0-99/100", "9-99/100", "11-99/100", "100-199/1000"])
@pytest.mark.parametrize("asked", ["bytes=10-99", "bytes=10-"])
def test_an_answer_that_starts_elsewhere_is_not_usable(said: str, asked: str) -> None:
    assert position(206, ranged(said), asked) is None


@pytest.mark.parametrize("status", [204, 304, 404, 416, 500])
def test_another_status_to_a_range_is_asked_again_without(status: int) -> None:
    assert position(status, ranged("10-99/100"), "bytes=10-99") is None


def test_a_416_without_a_range_is_a_layer_of_no_bytes_and_no_fault() -> None:
    assert position(416, Headers(), None) is None


@pytest.mark.parametrize("status", [204, 206, 304, 404, 500])
def test_another_status_without_a_range_is_no_layer(status: int) -> None:
    with pytest.raises(InvalidDocument, match=f"HTTP {status} in place of a layer"):
        position(status, ranged("0-99/100"), None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("409600", SIZE),
        ("9" * 15, 999_999_999_999_999),
        ("9" * 16, None),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("1, 1", None),
        ("\xb2", None),
        ("\u0661", None),
    ],
)
def test_a_content_length_is_a_number_or_unknown(text: str, expected: int | None) -> None:
    assert content_length(Headers([("content-length", text)])) == expected


def test_a_content_length_may_be_missing() -> None:
    assert content_length(Headers()) is None
