"""References: Docker Hub's rules for short names, the distribution specification's for the rest."""

import pytest

from dockless.model.digest import Digest
from dockless.model.errors import InvalidReference
from dockless.model.reference import (
    Reference,
    is_registry,
    is_repository,
    is_tag,
    parse_reference,
    split_registry,
    split_tag,
)

HEX = "0123456789abcdef" * 4
DIGEST = Digest(f"sha256:{HEX}")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a", Reference("docker.io", "library/a", "latest")),
        ("ubuntu:14.04", Reference("docker.io", "library/ubuntu", "14.04")),
        ("a/b", Reference("docker.io", "a/b", "latest")),
        ("a/b/c:t", Reference("docker.io", "a/b/c", "t")),
        ("docker.io/ubuntu", Reference("docker.io", "library/ubuntu", "latest")),
        ("docker.io/library/ubuntu", Reference("docker.io", "library/ubuntu", "latest")),
        ("index.docker.io/ubuntu", Reference("docker.io", "library/ubuntu", "latest")),
        ("registry-1.docker.io/a/b", Reference("docker.io", "a/b", "latest")),
        ("localhost/a", Reference("localhost", "a", "latest")),
        ("localhost:5000", Reference("docker.io", "library/localhost", "5000")),
        ("localhost:5000/a:t", Reference("localhost:5000", "a", "t")),
        ("h:5000/a", Reference("h:5000", "a", "latest")),
        ("r.example/a", Reference("r.example", "a", "latest")),
        ("r.example./a", Reference("r.example.", "a", "latest")),
        ("R.Example/a", Reference("R.Example", "a", "latest")),
        ("127.0.0.1:5000/a/b:T", Reference("127.0.0.1:5000", "a/b", "T")),
        ("[::1]/a", Reference("[::1]", "a", "latest")),
        ("[2001:db8::1]:5000/a:t", Reference("[2001:db8::1]:5000", "a", "t")),
        (f"a@{DIGEST}", Reference("docker.io", "library/a", None, DIGEST)),
        (f"h:1/a:t@{DIGEST}", Reference("h:1", "a", "t", DIGEST)),
        ("a.b/a__b.c_d---e/0", Reference("a.b", "a__b.c_d---e/0", "latest")),
        ("a:_." + "-" * 126, Reference("docker.io", "library/a", "_." + "-" * 126)),
    ],
)
def test_a_reference_is_read(text: str, reference: Reference) -> None:
    assert parse_reference(text) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "/",
        "@",
        ":t",
        "a:",
        "a@",
        "/a",
        "a/",
        "a//b",
        "docker.io/",
        "r.example/:t",
        "r.example:/a",
        "r.example:0/a",
        "r.example:65536/a",
        "r.example:123456/a",
        "r.example:http/a",
        ".example/a",
        "r..example/a",
        "-r.example/a",
        "r-.example/a",
        "::1/a",
        "[::1/a",
        "[::1]x/a",
        "user@r.example/a",
        "https://r.example/a",
        "A",
        "a/B",
        "a___b",
        "a..b/c",
        "r.example/a..b",
        "r.example/../b",
        "r.example/a.",
        "r.example/_a",
        "r.example/a b",
        "r.example/a\n",
        "r.example/a\0",
        "a:-t",
        "a:.t",
        "a:t t",
        "a:t\n",
        "a:" + "t" * 129,
        "a@sha256:" + "a" * 63,
        "a@sha256:" + "A" * 64,
        f"a@{DIGEST}\n",
        f"a:@{DIGEST}",
        f"a@{DIGEST}:t",
        f"@{DIGEST}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("r_.example/a", "'r_.example' is not a registry"),
        ("a/B", "'a/B' is not a repository name"),
        ("a:-t", "'-t' is not a tag"),
        ("a:", "'' is not a tag"),
        ("a@b", "not a digest: 'b'"),
    ],
)
def test_the_refusal_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_reference(text)

    assert reason in str(caught.value)
    assert caught.value.hint


def test_the_refusal_of_a_hostile_text_is_harmless_and_short() -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_reference("a/\x1b[31m" + "b" * 100_000)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_registry_and_repository_have_255_characters_together() -> None:
    longest = "r.example/" + "a" * 245

    assert len(longest) == 255
    assert str(parse_reference(longest)) == f"{longest}:latest"
    with pytest.raises(InvalidReference, match="exceed 255 characters"):
        parse_reference(longest + "a")


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        (Reference("docker.io", "library/a"), "docker.io/library/a"),
        (Reference("h:1", "a", "t"), "h:1/a:t"),
        (Reference("h:1", "a", None, DIGEST), f"h:1/a@{DIGEST}"),
        (Reference("h:1", "a", "t", DIGEST), f"h:1/a:t@{DIGEST}"),
    ],
)
def test_a_reference_is_written_in_full(reference: Reference, text: str) -> None:
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h", True),
        ("a_b.example", True),
        ("xn--bcher-kva.example", True),
        ("r.example.", True),
        ("10.0.0.1:1", True),
        ("h:65535", True),
        ("[::1]", True),
        ("[::ffff:10.0.0.1]:443", True),
        ("h:0", False),
        ("h:65536", False),
        ("h:", False),
        ("h:+1", False),
        ("h:1\n", False),
        ("h\n", False),
        ("", False),
        (":1", False),
        ("h..i", False),
        ("h/", False),
        ("u@h", False),
        ("::1", False),
        ("[]", False),
        ("[h]", False),
        ("[::1", False),
        ("h\\i", False),
        ("b\xfccher.example", False),
        ("a" * 255, True),
        ("a" * 256, False),
    ],
)
def test_a_registry_is_a_host_and_perhaps_a_port(text: str, expected: bool) -> None:
    assert is_registry(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, True) for text in ("t", "T", "_", "0", "1.0-rc_1", "t..t", "t" * 128)],
        *[(text, False) for text in ("", ".t", "-t", "t/t", "t:t", "t+t", "t t", "t\n", "\xe9", "t" * 129)],
    ],
)
def test_a_tag_is_one_word(text: str, expected: bool) -> None:
    assert is_tag(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[
            (text, True)
            for text in ("a", "0", "a/b/c", "a.b", "a_b", "a__b", "a-b", "a---b", "a.b_c__d-e/f", "a" * 254)
        ],
        *[
            (text, False)
            for text in ("", "A", "\xe9", "a b", "a:b", "a@b", "a\n", "/a", "a/", "a//b", "../a", "a" * 255)
        ],
        *[(f"a{mark}b", False) for mark in ("..", "___", "._", "_.", "-.", "-_", "/.", "/-", "_/")],
        *[(text, False) for text in (".a", "_a", "-a", "a.", "a_", "a-")],
    ],
)
def test_a_repository_is_named_as_the_specification_says(text: str, expected: bool) -> None:
    assert is_repository(text) is expected


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a", ("", "a")),
        ("a/b", ("", "a/b")),
        ("a.b", ("", "a.b")),
        ("localhost", ("", "localhost")),
        ("a.b/c/d", ("a.b", "c/d")),
        ("a:1/b", ("a:1", "b")),
        ("localhost/b", ("localhost", "b")),
        ("localhost/", ("localhost", "")),
    ],
)
def test_the_first_component_is_a_registry_when_it_looks_like_one(name: str, parts: tuple[str, str]) -> None:
    assert split_registry(name) == parts


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a", ("a", "")), ("a:t", ("a", "t")), ("a:1/b", ("a:1/b", "")), ("a:1/b:t", ("a:1/b", "t")), ("a:", ("a", ""))],
)
def test_a_colon_before_a_slash_is_no_tag(name: str, parts: tuple[str, str]) -> None:
    assert split_tag(name) == parts
