"""Words of a server drive no terminal."""

import pytest

from dockless.model.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\0", "\\x00"),
        ("\t", "\\x09"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x1f", "\\x1f"),
        ("\x7f", "\\x7f"),
        ("\x80", "\\x80"),
        ("\x9b31m", "\\x9b31m"),
        ("\x9f", "\\x9f"),
        ("\u061c", "\\u061c"),
        ("\u200b\u200f", "\\u200b\\u200f"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u202a\u202e", "\\u202a\\u202e"),
        ("\u2060\u2066\u2069", "\\u2060\\u2066\\u2069"),
        ("\ufeff", "\\ufeff"),
        ("\ud800\udfff", "\\ud800\\udfff"),
    ],
)
def test_what_could_drive_a_terminal_becomes_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "~ plain text!", "\\x1b", "\xa0", "Gr\xfc\xdfe", "\u65e5\u672c", "\U0001f433"])
def test_everything_else_stays(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("abc", "abc"), ("abcd", "abcd"), ("abcde", "abc\u2026"), ("a" * 9999, "aaa\u2026")]
)
def test_a_long_text_is_cut_at_the_limit(text: str, shown: str) -> None:
    assert printable(text, 4) == shown


def test_without_a_limit_two_thousand_characters_are_shown() -> None:
    assert printable("a" * 2000) == "a" * 2000
    assert len(printable("a" * 2001)) == 2000
