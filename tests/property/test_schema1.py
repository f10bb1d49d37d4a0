"""Manifests of schema 1: whatever comes is one, or refused in one way; what was signed comes out again."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.descriptor import Descriptor
from dockless.model.digest import digest_of, is_digest
from dockless.model.errors import InvalidDocument
from dockless.model.media_types import DOCKER_SCHEMA1
from dockless.model.schema1 import parse_schema1, signed_part
from tests.schema1_manifests import ancestry, body, protected, signed, with_signatures

thoroughly = settings(deadline=None, max_examples=300)

digests = st.sampled_from([f"sha256:{letter * 64}" for letter in "ab"] + ["sha256:x"])
ids = st.sampled_from(["", "1" * 64, "2" * 64, "x"]) | st.none()
plain = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
images = st.fixed_dictionaries({}, optional={"id": ids, "parent": ids, "throwaway": st.booleans() | plain})
manifests = st.fixed_dictionaries(
    {
        "schemaVersion": st.sampled_from([1, 2]),
        "fsLayers": st.lists(st.fixed_dictionaries({"blobSum": digests | plain}), max_size=3) | plain,
        "history": st.lists(
            st.fixed_dictionaries({"v1Compatibility": images.map(json.dumps) | st.text(max_size=8)}), max_size=3
        ),
    },
    optional={"name": st.text(max_size=8) | plain, "signatures": st.lists(plain, max_size=2) | plain},
)


@thoroughly
@given(manifests.map(lambda one: json.dumps(one).encode()) | st.binary(max_size=40))
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    try:
        manifest = parse_schema1(Descriptor(DOCKER_SCHEMA1, digest_of(raw), len(raw)), raw)
    except InvalidDocument as error:
        words = str(error)
    else:
        words = ""
        assert manifest.layers
        assert all(is_digest(layer.digest) for layer in manifest.layers)
    assert words.isprintable()


@thoroughly
@given(
    st.lists(digests.filter(is_digest), min_size=1, max_size=5),
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5).map("x{}".format), plain, max_size=3),
    st.integers(1, 3),
)
def test_what_was_signed_comes_out_again(layers: list[str], more: dict[str, Any], times: int) -> None:
    descriptor, raw = signed(body(ancestry(*layers), **more), times=times)

    assert digest_of(signed_part(raw)) == descriptor.digest
    assert [layer.digest for layer in parse_schema1(descriptor, raw).layers] == layers


@thoroughly
@given(st.integers(-5, 60), st.binary(max_size=5), st.lists(st.text(max_size=6), max_size=2))
def test_a_signature_covers_what_is_there_or_is_refused(length: int, tail: bytes, headers: list[str]) -> None:
    raw = with_signatures(b'{"schemaVersion": 1\n}', protected(length, tail), *headers)
    try:
        part = signed_part(raw)
    except InvalidDocument:
        assert headers or not 0 <= length <= len(raw)
    else:
        assert part == raw[:length] + tail
