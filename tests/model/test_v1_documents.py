"""The documents of v1: views of bytes that someone else wrote."""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import pytest

from dockless.model.errors import InvalidDocument
from dockless.model.image_id import ImageId
from dockless.model.v1_documents import (
    SearchPage,
    SearchResult,
    V1Config,
    V1ImageConfig,
    ancestry,
    decode,
    error_words,
    image_config,
    tag_ids,
)

TOP, MIDDLE, BASE = ImageId("a" * 64), ImageId("b" * 64), ImageId("c" * 16)

IMAGE = b"""{"id": "%s", "parent": "%s", "created": "2014-11-20T00:00:00Z", "comment": "c", "author": "me",
 "container": "k", "docker_version": "1.4.1", "architecture": "amd64", "os": "linux", "Size": 1024, "checksum": "x",
 "config": {"Hostname": "h", "Domainname": "d", "User": "u", "Env": ["A=b"], "Cmd": ["run"], "Entrypoint": "go",
            "WorkingDir": "/w", "Image": "i", "Labels": {"k": "v"}, "Volumes": {"/v": {}},
            "ExposedPorts": {"80/tcp": {}}, "OnBuild": ["RUN x"], "MacAddress": "m"},
 "container_config": {"Cmd": "sh", "Env": null}}""" % (TOP.encode(), MIDDLE.encode())

NOT_DOCUMENTS = {
    "nothing": b"",
    "null": b"null",
    "number": b"1",
    "cut": b'{"id": "a',
    "trailing data": b"{} {}",
    "byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"Size": NaN}',
    "bare NaN": b"NaN",
    "infinity": b'{"Size": Infinity}',
    "overflow": b'{"Size": 1e999}',
    "HTML": b"<!DOCTYPE html><title>404 Not Found</title>",
    "bad UTF-8": b'{"id": "\xff"}',
    "lone surrogate": b'{"id": "\\ud800"}',
    "deep object": b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
    "deep array": b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "never closed": b"[" * 100_000,
}
documents = pytest.mark.parametrize("raw", NOT_DOCUMENTS.values(), ids=NOT_DOCUMENTS.keys())


class Wanted(msgspec.Struct):
    id: str


@dataclass
class Plain:
    id: str
    parent: str | None = None


def test_an_image_is_typed() -> None:
    image = image_config(IMAGE, V1ImageConfig, "image")

    assert image == V1ImageConfig(
        id=TOP,
        parent=MIDDLE,
        created="2014-11-20T00:00:00Z",
        comment="c",
        author="me",
        container="k",
        docker_version="1.4.1",
        architecture="amd64",
        os="linux",
        size=1024,
        config=V1Config(
            hostname="h",
            domainname="d",
            user="u",
            env=["A=b"],
            cmd=["run"],
            entrypoint="go",
            working_dir="/w",
            image="i",
            labels={"k": "v"},
            volumes={"/v": {}},
            exposed_ports={"80/tcp": {}},
            on_build=["RUN x"],
        ),
        container_config=V1Config(cmd="sh"),
    )


def test_an_image_may_say_nothing() -> None:
    assert image_config(b"{}", V1ImageConfig, "image") == V1ImageConfig()


def test_what_has_no_field_survives_in_the_raw_bytes() -> None:
    assert image_config(IMAGE, V1ImageConfig, "image").raw is IMAGE


def test_a_caller_s_own_image_type_keeps_the_raw_bytes_too() -> None:
    class Extended(V1ImageConfig, frozen=True, kw_only=True):
        checksum: str = ""

    image = image_config(IMAGE, Extended, "image")

    assert (image.checksum, image.raw) == ("x", IMAGE)


def test_an_image_is_decoded_into_a_struct() -> None:
    assert image_config(IMAGE, Wanted, "image") == Wanted(TOP)


def test_an_image_is_decoded_into_a_dataclass() -> None:
    assert image_config(IMAGE, Plain, "image") == Plain(TOP, MIDDLE)


def test_an_image_is_decoded_into_a_dict_with_everything() -> None:
    document: dict[str, Any] = image_config(IMAGE, dict, "image")

    assert document["config"]["MacAddress"] == "m"
    assert document["checksum"] == "x"


@documents
@pytest.mark.parametrize("into", [V1ImageConfig, dict, Plain, SearchPage, list[str]])
def test_what_is_no_document_is_refused_into_any_type(raw: bytes, into: type) -> None:
    with pytest.raises(InvalidDocument, match="the thing is not what it should be"):
        decode(raw, into, "the thing")


@documents
def test_what_is_no_document_is_no_image(raw: bytes) -> None:
    with pytest.raises(InvalidDocument):
        image_config(raw, V1ImageConfig, "image")


@documents
def test_what_is_no_document_is_no_tags(raw: bytes) -> None:
    with pytest.raises(InvalidDocument):
        tag_ids(raw, "tags")


@documents
def test_what_is_no_document_is_no_ancestry(raw: bytes) -> None:
    with pytest.raises(InvalidDocument):
        ancestry(raw, TOP, "ancestry")


def test_a_refusal_quotes_a_hostile_document_harmlessly() -> None:
    with pytest.raises(InvalidDocument) as caught:
        decode(b'{"os": "\\u009b31m"}', dict[str, Literal["linux"]], "image")

    assert "\\x9b31m" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"{}", {}),
        (b'{"1.0": "a", "latest": "b"}', {"1.0": "a", "latest": "b"}),
        (b'{"a+b": null, "latest": "b"}', {"latest": "b"}),
        (b"[]", {}),
        (b'[{"layer": "a", "name": "1.0"}, {"layer": "b", "name": "latest"}]', {"1.0": "a", "latest": "b"}),
        (b' \r\n\t[{"layer": "a", "name": "1.0", "extra": 1}]', {"1.0": "a"}),
        (b'{"latest": "../../etc/passwd"}', {"latest": "../../etc/passwd"}),
    ],
)
def test_tags_come_as_a_map_or_as_the_hub_s_list(raw: bytes, expected: dict[str, str]) -> None:
    assert tag_ids(raw, "tags") == expected


@pytest.mark.parametrize("raw", [b'{"a": 1}', b'{"a": ["b"]}', b'["a"]', b'[{"name": "a"}]', b'[{"layer": "a"}]'])
def test_other_shapes_are_no_tags(raw: bytes) -> None:
    with pytest.raises(InvalidDocument):
        tag_ids(raw, "tags")


def as_json(*ids: object) -> bytes:
    return msgspec.json.encode(ids)


def test_an_ancestry_goes_from_the_image_to_its_base() -> None:
    assert ancestry(as_json(TOP, MIDDLE, BASE), TOP, "ancestry") == [TOP, MIDDLE, BASE]


def test_a_base_is_its_own_ancestry() -> None:
    assert ancestry(as_json(BASE), BASE, "ancestry") == [BASE]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (as_json(), "does not start with the image itself"),
        (as_json(MIDDLE, TOP), "does not start with the image itself"),
        (as_json(TOP, MIDDLE, TOP), "is a cycle"),
        (as_json(TOP, MIDDLE, MIDDLE), "is a cycle"),
        (as_json(TOP, MIDDLE.upper()), "not an image id"),
        (as_json(TOP, "../" + "a" * 61), "not an image id"),
        (as_json(TOP, ""), "not an image id"),
        (as_json(TOP, None), "is not what it should be"),
        (as_json(TOP, 1), "is not what it should be"),
        (b'{"id": "x"}', "is not what it should be"),
    ],
)
def test_anything_else_is_no_ancestry(raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidDocument, match=f"^what came .*{reason}"):
        ancestry(raw, TOP, "what came")


def test_an_ancestry_is_refused_beyond_4096_images() -> None:
    ids = [TOP, *(f"{number:064x}" for number in range(4096))]

    assert len(ancestry(as_json(*ids[:4096]), TOP, "ancestry")) == 4096
    with pytest.raises(InvalidDocument, match="has 4097 entries, more than 4096"):
        ancestry(as_json(*ids), TOP, "ancestry")


def test_a_page_of_a_search_is_read() -> None:
    raw = b"""{"num_pages": 3, "num_results": 51, "page": 2, "page_size": 25, "query": "demo", "results": [
        {"name": "library/demo", "description": "d", "is_official": true, "is_automated": true, "star_count": 7,
         "is_trusted": false}]}"""

    assert decode(raw, SearchPage, "search") == SearchPage(
        [SearchResult("library/demo", "d", is_official=True, is_automated=True, star_count=7)],
        num_results=51,
        page=2,
        num_pages=3,
    )


def test_the_original_server_s_search_is_one_page() -> None:
    raw = b'{"num_results": 1, "query": "x", "results": [{"description": null, "name": "library/demo"}]}'

    page = decode(raw, SearchPage, "search")

    assert (page.num_results, page.page, page.num_pages) == (1, 1, 1)
    assert msgspec.structs.astuple(page.results[0]) == ("library/demo", None, False, False, 0)


def test_a_search_need_not_count() -> None:
    assert decode(b'{"results": []}', SearchPage, "search").num_results == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "Image not found"}', "Image not found"),
        (b'{"error": "Tag not found", "more": [1]}', "Tag not found"),
        (b'{"error": "a\\u001b[31m\\nb"}', "a\\x1b[31m\\x0ab"),
        (b'{"error": "%s"}' % (b"a" * 1000), "a" * 499 + "\u2026"),
        (b'{"error": null}', ""),
        (b'{"error": {"code": 1}}', ""),
        (b'{"errors": []}', ""),
        (b'"error"', ""),
        (b'{"error": "Image not', ""),
        (b'{"error": "\xff"}', ""),
    ],
)
def test_an_error_s_words_are_told_harmlessly(body: bytes, words: str) -> None:
    assert error_words(body) == words


@documents
def test_a_body_that_is_no_error_document_says_nothing(raw: bytes) -> None:
    assert error_words(raw) == ""


def test_more_values_than_are_ever_meant_are_refused_unread() -> None:
    assert len(decode(b"[" + b"{}," * 100_000 + b"{}]", list[dict[str, str]], "the thing")) == 100_001
    with pytest.raises(InvalidDocument, match="the thing holds more than 400000 values"):
        decode(b"[" + b"{}," * 200_000 + b"{}]", list[dict[str, str]], "the thing")
