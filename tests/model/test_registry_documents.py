"""Errors, lists, and the type that a manifest has."""

import pytest

from dockless.model.errors import InvalidDocument
from dockless.model.media_types import DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED, OCI_INDEX, OCI_MANIFEST
from dockless.model.registry_documents import (
    RegistryError,
    catalog_list,
    document_type,
    essence,
    registry_errors,
    tag_list,
)


def test_errors_have_codes_and_words() -> None:
    found = registry_errors(
        b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"Tag":"x"}},{"code":"DENIED"}]}'
    )
    assert found == (RegistryError("MANIFEST_UNKNOWN", "manifest unknown"), RegistryError("DENIED"))
    assert [str(one) for one in found] == ["MANIFEST_UNKNOWN: manifest unknown", "DENIED"]


def test_words_of_an_error_drive_no_terminal() -> None:
    assert str(registry_errors(b'{"errors":[{"message":"a\\u001b[2Jb"}]}')[0]) == "a\\x1b[2Jb"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"errors":null}', b'{"errors":{}}', b"\xff", b'{"errors":[7]}']
)
def test_any_other_body_holds_no_errors(body: bytes) -> None:
    assert registry_errors(body) == ()


def test_no_more_errors_than_anyone_reads() -> None:
    assert len(registry_errors(b'{"errors":[' + b",".join([b'{"code":"X"}'] * 1000) + b"]}")) == 10


def test_lists_may_be_null() -> None:
    assert tag_list(b'{"name":"a","tags":["1","2"]}', "tags") == ["1", "2"]
    assert tag_list(b'{"name":"a","tags":null}', "tags") == []
    assert catalog_list(b'{"repositories":["a/b"]}', "catalog") == ["a/b"]
    assert catalog_list(b'{"repositories":null}', "catalog") == []


@pytest.mark.parametrize("raw", [b"<html>", b"{}", b'{"tags":"x"}', b'{"tags":[1]}', b"[" * 100_000])
def test_what_is_no_list_says_so(raw: bytes) -> None:
    with pytest.raises(InvalidDocument, match="the tags"):
        tag_list(raw, "the tags")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, ""), ("", ""), (OCI_INDEX, OCI_INDEX), (f" {OCI_INDEX.upper()} ; charset=utf-8", OCI_INDEX)],
)
def test_parameters_of_a_content_type_are_ignored(given: str | None, expected: str) -> None:
    assert essence(given) == expected


@pytest.mark.parametrize(
    ("content_type", "raw", "expected"),
    [
        (f"{OCI_INDEX}; charset=utf-8", b"{}", OCI_INDEX),
        ("application/vnd.unknown+json", b"anything", "application/vnd.unknown+json"),
        ("application/json", b'{"mediaType":"%s"}' % OCI_MANIFEST.encode(), OCI_MANIFEST),
        (None, b'{"mediaType":"%s"}' % OCI_MANIFEST.encode(), OCI_MANIFEST),
        ("application/json; charset=utf-8", b'{"schemaVersion":1,"signatures":[{}]}', DOCKER_SCHEMA1_SIGNED),
        ("text/plain", b'{"schemaVersion":1}', DOCKER_SCHEMA1),
    ],
)
def test_the_content_type_decides_unless_it_says_nothing(content_type: str | None, raw: bytes, expected: str) -> None:
    assert document_type(content_type, raw, "it") == expected


@pytest.mark.parametrize(
    ("content_type", "raw", "problem"),
    [
        ("text/html; charset=utf-8", b"<!doctype html>", "web page"),
        ("text/plain", b"\n <html>", "web page"),
        ("application/json", b'{"schemaVersion":2}', "does not say"),
        (None, b"{", "not what it should be"),
    ],
)
def test_what_cannot_be_typed_says_so(content_type: str | None, raw: bytes, problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        document_type(content_type, raw, "it")
