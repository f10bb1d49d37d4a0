"""Digests: registered algorithms, lower case, the right length, and nothing else."""

import pytest

from dockless.model.digest import is_digest, parse_digest
from dockless.model.errors import InvalidReference

SHA256 = "sha256:" + "0123456789abcdef" * 4
SHA512 = "sha512:" + "0123456789abcdef" * 8

NOT_DIGESTS = [
    "",
    "sha256",
    "sha256:",
    SHA256[:-1],
    SHA256 + "0",
    SHA256.upper(),
    "sha256:" + "A" * 64,
    "SHA256:" + "a" * 64,
    "sha256:" + "g" * 64,
    "sha256:" + "\uff10" * 64,
    "sha256:" + "a" * 128,
    "sha512:" + "a" * 64,
    "md5:" + "a" * 32,
    SHA256 + "\n",
    f" {SHA256}",
    f"x{SHA256}",
    "sha256:../" + "a" * 61,
]


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_a_registered_digest_is_one(text: str) -> None:
    assert is_digest(text)
    assert parse_digest(text) == text


@pytest.mark.parametrize("text", NOT_DIGESTS)
def test_nothing_else_is_a_digest(text: str) -> None:
    assert not is_digest(text)
    with pytest.raises(InvalidReference, match="not a digest"):
        parse_digest(text)


def test_the_refusal_shows_the_text_harmless_and_says_what_a_digest_is() -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_digest("sha256:\x1b[31m" + "a" * 1000)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200
    assert "64" in caught.value.hint
    assert "128" in caught.value.hint
