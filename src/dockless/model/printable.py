"""Words of a server, made harmless for a terminal or a log (CWE-150).

Control characters (C0, DEL, C1), line and paragraph separators, bidirectional overrides and lone surrogates become
backslash escapes; everything else stays.
"""

import re

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def is_printable(text: str) -> bool:
    """Say whether nothing in `text` needs an escape."""
    return _UNSAFE.search(text) is None


def printable(text: str, limit: int | None = 2000) -> str:
    """Return `text` without anything that could drive a terminal, cut at `limit` characters; None cuts nothing."""
    safe = _UNSAFE.sub(_escape, text)
    return safe if limit is None or len(safe) <= limit else safe[: limit - 1] + "…"


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
