"""No text drives a terminal once it is printable."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.printable import printable

thoroughly = settings(deadline=None, max_examples=500)

OVERRIDES = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

hostile = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]) | st.characters(), max_size=100)


@thoroughly
@given(hostile)
def test_nothing_that_drives_a_terminal_is_left(text: str) -> None:
    shown = printable(text)

    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(character) for character in shown} & OVERRIDES


@thoroughly
@given(hostile)
def test_what_is_printable_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)


@thoroughly
@given(st.text("ab \xfc\u65e5", max_size=40), st.integers(1, 40))
def test_a_harmless_text_is_never_longer_than_the_limit(text: str, limit: int) -> None:
    shown = printable(text, limit)

    assert len(shown) == min(len(text), limit)
    assert shown == text or text.startswith(shown[:-1])
