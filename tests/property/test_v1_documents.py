"""Documents of v1: whatever a server sends is the document it should be, or InvalidDocument."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.errors import InvalidDocument
from dockless.model.image_id import ImageId, is_image_id
from dockless.model.v1_documents import (
    SearchPage,
    V1ImageConfig,
    ancestry,
    decode,
    error_words,
    image_config,
    tag_ids,
)

thoroughly = settings(deadline=None, max_examples=200)

FIELDS = ["id", "parent", "config", "container_config", "Size", "Env", "Cmd", "results", "name", "layer", "error"]


def json_values(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[object]:
    return st.recursive(
        st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=4)
        ),
        max_leaves=12,
    )


values = json_values(st.floats())  # NaN and infinity, which Python's json writes, are no JSON
as_json = st.builds(lambda value, plain: json.dumps(value, ensure_ascii=plain).encode(), values, st.booleans())
bodies = st.binary(max_size=64) | as_json | st.builds(lambda body, cut: body[:cut], as_json, st.integers(0, 40))

ids = st.integers(0, 5).map(lambda number: ImageId(f"{number:064x}"))
chains = st.lists(ids | ids.map(str.upper) | st.just("../x"), max_size=6)


@thoroughly
@given(bodies, st.sampled_from([dict, list[str], dict[str, str], SearchPage]))
def test_a_body_is_a_document_or_refused(body: bytes, into: type) -> None:
    try:
        document: object = decode(body, into, "it")
    except InvalidDocument:
        return
    assert isinstance(document, getattr(into, "__origin__", into))


@thoroughly
@given(bodies)
def test_a_body_is_an_image_with_its_raw_bytes_or_refused(body: bytes) -> None:
    try:
        image = image_config(body, V1ImageConfig, "it")
    except InvalidDocument:
        return
    assert image.raw == body


@thoroughly
@given(st.dictionaries(st.text(), st.none() | st.text(min_size=1)))
def test_every_tag_that_names_an_image_is_kept(tags: dict[str, str | None]) -> None:
    assert tag_ids(json.dumps(tags).encode(), "it") == {tag: named for tag, named in tags.items() if named is not None}


@thoroughly
@given(st.dictionaries(st.text(), st.text(min_size=1)))
def test_the_hub_s_list_means_the_same_as_a_map(tags: dict[str, str]) -> None:
    listed = [{"layer": named, "name": tag} for tag, named in tags.items()]

    assert tag_ids(json.dumps(listed).encode(), "it") == tags


@thoroughly
@given(bodies)
def test_a_body_is_tags_that_name_something_or_refused(body: bytes) -> None:
    try:
        found = tag_ids(body, "it")
    except InvalidDocument:
        return
    assert {type(text) for pair in found.items() for text in pair} <= {str}


@thoroughly
@given(bodies | chains.map(json.dumps).map(str.encode), ids)
def test_an_ancestry_is_different_ids_from_the_image_on_or_refused(body: bytes, image_id: ImageId) -> None:
    try:
        found = ancestry(body, image_id, "it")
    except InvalidDocument:
        return
    assert found[0] == image_id
    assert len(set(found)) == len(found)
    assert all(map(is_image_id, found))


@thoroughly
@given(st.lists(ids, min_size=1, unique=True))
def test_every_chain_of_different_ids_is_an_ancestry(chain: list[ImageId]) -> None:
    assert ancestry(json.dumps(chain).encode(), chain[0], "it") == chain


@thoroughly
@given(bodies | st.builds(lambda words: json.dumps({"error": words}).encode(), st.text()))
def test_an_error_s_words_are_printable_whatever_the_body(body: bytes) -> None:
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in error_words(body))


@thoroughly
@given(st.dictionaries(st.text(), json_values(st.floats(allow_nan=False, allow_infinity=False)), max_size=4))
def test_a_dict_holds_every_field(document: dict[str, object]) -> None:
    assert decode(json.dumps(document).encode(), dict, "it") == document
