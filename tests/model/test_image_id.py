"""Image ids: 16 or 64 lower-case hexadecimal digits, and nothing else."""

import pytest

from dockless.model.errors import InvalidReference
from dockless.model.image_id import is_image_id, parse_image_id

NOT_IDS = [
    "",
    "0" * 12,
    "0" * 15,
    "0" * 17,
    "0" * 32,
    "0" * 63,
    "0" * 65,
    "0" * 128,
    "A" * 16,
    "A" * 64,
    "g" * 16,
    "\uff10" * 16,
    "0" * 16 + "\n",
    "0" * 64 + "\n",
    " " + "0" * 16,
    "../" + "0" * 13,
    "/" + "0" * 63,
    "..%2f" + "0" * 59,
    "0" * 15 + "\0",
]


@pytest.mark.parametrize("text", ["0123456789abcdef", "0123456789abcdef" * 4])
def test_sixteen_or_sixty_four_digits_are_an_id(text: str) -> None:
    assert is_image_id(text)
    assert parse_image_id(text) == text


@pytest.mark.parametrize("text", NOT_IDS)
def test_no_other_text_is_an_id(text: str) -> None:
    assert not is_image_id(text)
    with pytest.raises(InvalidReference, match="not an image id"):
        parse_image_id(text)


@pytest.mark.parametrize("thing", [None, 1234567890123456, b"0123456789abcdef", ["0" * 16]])
def test_what_is_no_text_is_no_id(thing: object) -> None:
    assert not is_image_id(thing)


def test_the_refusal_shows_the_text_harmless_and_says_what_an_id_is() -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_image_id("\x1b[31m" + "a" * 1000)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120
    assert "16 or 64" in caught.value.hint
