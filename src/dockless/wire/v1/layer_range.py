"""Ranges of a layer: what to ask for, and where an answer really starts.

Rules, from how the original server answers:
* It refuses a range of one byte (416), so the last byte is asked for together with the one before it.
* After an open range it announces one byte more than it sends, so a range is closed as soon as the size is known.
* Its `Content-Range` lacks the word `bytes`.
* A layer of no bytes is 416 without any range asked.
* An answer that does not say where it starts, or says another place, is never appended (RFC 9110, section 14.4).
* 200 to a range is the whole layer: what is there already is skipped. So is 404 or 416 to a range asked again without:
  a mirror that has not stored the layer yet answers 404 to a range.
"""

import re

import msgspec

from dockless.model.errors import InvalidDocument
from dockless.wire.http import Headers, content_length

_CONTENT_RANGE = re.compile(r"(?:(?i:bytes)[ =])?\s*([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15}|\*)")


class Position(msgspec.Struct, frozen=True):
    """Where an answer's body begins in the layer, and how long the whole layer is (None: not said)."""

    start: int
    size: int | None


def wanted_range(offset: int, size: int | None) -> str | None:
    """Return the `Range` that goes on at `offset`, None for the whole layer. `size` is the layer's, if known."""
    if offset == 0:
        return None
    if size is None:
        return f"bytes={offset}-"
    first = min(offset, size - 2)
    return f"bytes={first}-{size - 1}" if first > 0 else None


def position(status: int, headers: Headers, asked: str | None) -> Position | None:
    """Return where the body of an answer begins; None: not usable, ask again without a range.

    `asked` is the `Range` that was sent. Raises InvalidDocument for an answer without a range that is not 200.
    """
    if status == 200:
        return Position(0, content_length(headers))
    if status == 206 and asked is not None:
        found = _CONTENT_RANGE.fullmatch((headers.first("content-range") or "").strip())
        if found is not None and int(found[1]) == _first(asked) <= int(found[2]):
            return Position(int(found[1]), None if found[3] == "*" else int(found[3]))
    if asked is None and status != 416:
        raise InvalidDocument(f"HTTP {status} in place of a layer")
    return None


def _first(asked: str) -> int:
    return int(asked.removeprefix("bytes=").partition("-")[0])
