"""Resuming a layer: from any offset, on any server, the bytes come together again."""

import re
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.wire.http import Headers, content_length
from dockless.wire.v1.layer_range import position, wanted_range

thoroughly = settings(deadline=None, max_examples=500)

Answer = tuple[int, Headers, bytes]


def whole(layer: bytes, asked: str | None) -> Answer:
    """A server that knows no ranges."""
    return 200, Headers([("Content-Length", str(len(layer)))]), layer


def original(layer: bytes, asked: str | None) -> Answer:
    """The original server: v1-wire.md, "Ranges, on a layer of 409600 bytes"."""
    if not layer:
        return 416, Headers(), b""
    found = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", asked or "")
    if found is None:
        return whole(layer, None)
    first, last = int(found[1]), int(found[2] or len(layer))
    if first >= len(layer) or last <= first:
        return 416, Headers([("Content-Length", "0")]), b""
    headers = [("Content-Range", f"{first}-{last}/{len(layer)}"), ("Content-Length", str(last - first + 1))]
    return 206, Headers(headers), layer[first : last + 1]


def modern(layer: bytes, asked: str | None) -> Answer:
    """A server by RFC 9110, as storage behind a redirect is."""
    found = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", asked or "")
    if found is None:
        return whole(layer, None)
    first, last = int(found[1]), min(int(found[2] or len(layer)), len(layer) - 1)
    if first > last:
        return 416, Headers([("Content-Range", f"bytes */{len(layer)}")]), b""
    return 206, Headers([("Content-Range", f"bytes {first}-{last}/{len(layer)}")]), layer[first : last + 1]


layers = st.binary(min_size=1, max_size=32)
servers = st.sampled_from([original, modern, whole])


@st.composite
def layers_cut_somewhere(draw: st.DrawFn) -> tuple[bytes, int]:
    layer = draw(layers)
    return layer, draw(st.integers(0, len(layer)))


@thoroughly
@given(st.integers(1, 2**40).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
def test_a_range_covers_the_rest_in_more_than_one_byte_and_no_more_than_there_is(place: tuple[int, int]) -> None:
    offset, size = place
    asked = wanted_range(offset, size)
    if asked is None:
        assert offset == 0 or size < 3
        return
    found = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", asked)
    assert found is not None
    first, last = int(found[1]), int(found[2])
    assert 0 < first <= offset
    assert first < last == size - 1


@thoroughly
@given(layers_cut_somewhere(), servers, st.booleans())
def test_a_layer_comes_together_from_any_offset(
    cut: tuple[bytes, int], server: Callable[[bytes, str | None], Answer], knows_size: bool
) -> None:
    layer, offset = cut
    asked = wanted_range(offset, len(layer) if knows_size else None)
    status, headers, body = server(layer, asked)
    found = position(status, headers, asked)
    if found is None:
        assert asked is not None
        status, headers, body = server(layer, None)
        found = position(status, headers, None)

    assert found is not None
    assert found.start <= offset
    assert found.size == len(layer)
    assert layer[:offset] + body[offset - found.start :] == layer


@thoroughly
@given(layers_cut_somewhere())
def test_the_original_is_never_asked_for_what_it_refuses_or_announces_wrong(cut: tuple[bytes, int]) -> None:
    layer, offset = cut
    status, headers, body = original(layer, wanted_range(offset, len(layer)))

    assert status in {200, 206}
    assert content_length(headers) == len(body)


@thoroughly
@given(st.text() | st.text("bytes =-/*0123456789", max_size=24), st.integers(1, 99))
def test_any_content_range_starts_where_it_was_asked_or_is_not_usable(said: str, offset: int) -> None:
    found = position(206, Headers([("Content-Range", said)]), f"bytes={offset}-")

    assert found is None or found.start == offset
