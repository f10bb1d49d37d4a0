"""`index.json` of a layout: whatever comes is read or refused, and whatever is done loses nothing."""

import json
from functools import reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.descriptor import describe
from dockless.model.digest import Digest
from dockless.model.errors import InvalidReference
from dockless.model.layout_index import EMPTY, REF_NAME, LayoutIndex, document_type, parse_layout_index
from dockless.model.media_types import OCI_INDEX, OCI_MANIFEST
from tests.property.test_documents import outcome

thoroughly = settings(deadline=None, max_examples=150)

SOME = [describe(bytes([number]), OCI_MANIFEST) for number in range(4)]
NAMES = ["a", "b", "docker.io/library/c:1"]

plain = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([2, OCI_INDEX])
fields = st.sampled_from(["mediaType", "digest", "size", "annotations", "manifests", "schemaVersion", REF_NAME, "x"])
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(fields, inner, max_size=4), max_leaves=12
)
entries = st.builds(
    lambda one, notes, more: {
        **more,
        "mediaType": one.media_type,
        "digest": one.digest,
        "size": one.size,
        "annotations": notes,
    },
    st.sampled_from(SOME),
    st.dictionaries(st.sampled_from([REF_NAME, "x"]), st.sampled_from(NAMES) | st.text(max_size=4), max_size=2),
    st.dictionaries(st.text(st.characters(min_codepoint=97, max_codepoint=122), max_size=3), values, max_size=2),
)
bodies = st.dictionaries(fields, values, max_size=4) | st.fixed_dictionaries(
    {"schemaVersion": st.just(2), "manifests": st.lists(entries, max_size=5)}, optional={"x": values}
)
raws = st.binary(max_size=64) | bodies.map(lambda body: json.dumps(body).encode())


@thoroughly
@given(raws)
def test_an_index_is_read_again_as_it_was_or_refused(raw: bytes) -> None:
    index = outcome(parse_layout_index, raw, "it")
    if isinstance(index, str):
        assert index.isprintable()
        return
    body = json.loads(raw)
    assert json.loads(index.raw) == {**body, "manifests": body.get("manifests") or []}
    for name in index.tags():
        try:
            assert index.find(name) in index.entries
        except InvalidReference:
            assert len({one.digest for one in index.entries if (one.annotations or {}).get(REF_NAME) == name}) > 1


@thoroughly
@given(raws)
def test_bytes_are_a_document_or_not(raw: bytes) -> None:
    document_type(raw)


change = (
    st.tuples(st.just("with_tag"), st.sampled_from(SOME), st.sampled_from(NAMES))
    | st.tuples(st.just("with_entry"), st.sampled_from(SOME))
    | st.tuples(st.just("without_tag"), st.sampled_from(NAMES))
    | st.tuples(st.just("without"), st.sampled_from([one.digest for one in SOME]))
)


@thoroughly
@given(st.lists(change, max_size=20))
def test_names_are_kept_as_a_dictionary_would_and_nothing_goes_that_was_not_removed(
    changes: list[tuple[Any, ...]],
) -> None:
    tags, here = dict[str, Digest](), set[Digest]()

    def apply(index: LayoutIndex, one: tuple[Any, ...]) -> LayoutIndex:
        act, *arguments = one
        match act, arguments:
            case "with_tag", (target, name):
                tags[name] = target.digest
                here.add(target.digest)
            case "with_entry", (target,):
                here.add(target.digest)
            case "without_tag", (name,):
                tags.pop(name, None)
            case _, (digest,):
                here.discard(digest)
                for name in [name for name, target in tags.items() if target == digest]:
                    del tags[name]
        changed: LayoutIndex = getattr(index, act)(*arguments)
        return changed

    index = reduce(apply, changes, EMPTY)
    again = parse_layout_index(index.raw, "it")
    assert again.raw == index.raw
    found = {name: again.find(name) for name in again.tags()}
    assert {name: one.digest for name, one in found.items() if one} == tags
    assert {one.digest for one in again.entries} == here
    assert len(again.entries) == len(tags) + len(here - set(tags.values()))
