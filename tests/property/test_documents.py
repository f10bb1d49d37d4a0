"""Documents of v2 and platforms: whatever comes is what it should be, or refused in one way."""

import json
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.descriptor import describe
from dockless.model.documents import parse_document
from dockless.model.errors import InvalidDocument, InvalidReference
from dockless.model.image_config import parse_image_config
from dockless.model.media_types import ACCEPT
from dockless.model.platform import parse_platform

T = TypeVar("T")

thoroughly = settings(deadline=None, max_examples=300)

DIGEST = "sha256:" + "a" * 64
FIELDS = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "subject",
    "fsLayers",
    "annotations",
    "digest",
    "size",
    "platform",
    "os",
    "architecture",
    "rootfs",
    "diff_ids",
    "history",
]

plain = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([2, DIGEST, *ACCEPT])
descriptors = st.fixed_dictionaries(
    {"mediaType": st.sampled_from(ACCEPT), "digest": st.sampled_from([DIGEST, "sha256:x"]), "size": st.integers(-1, 9)}
)
values = st.recursive(
    plain | descriptors,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=14,
)
documents = st.fixed_dictionaries(
    {"schemaVersion": st.sampled_from([1, 2])},
    optional={"config": descriptors | values, "layers": st.lists(descriptors, max_size=3), "manifests": values},
)
bodies = st.binary(max_size=64) | (values | documents).map(lambda value: json.dumps(value).encode())


def outcome(read: Callable[..., T], *arguments: object) -> T | str:
    """Return what was read, or the words of the refusal."""
    try:
        return read(*arguments)
    except (InvalidDocument, InvalidReference) as error:
        return str(error)


@thoroughly
@given(bodies, st.sampled_from([*ACCEPT, "application/x-strange"]))
def test_a_document_is_what_its_type_says_or_refused(raw: bytes, media_type: str) -> None:
    document = outcome(parse_document, describe(raw, media_type), raw)
    if isinstance(document, str):
        assert document.isprintable()
        return
    assert document.raw == raw
    assert len(set(document.successors)) == len(document.successors)


@thoroughly
@given(bodies)
def test_a_config_is_read_or_refused(raw: bytes) -> None:
    config = outcome(parse_image_config, raw, "the config")
    assert config.isprintable() if isinstance(config, str) else config.raw == raw


@thoroughly
@given(st.text(max_size=20) | st.lists(st.text("linuxamd64v:/", max_size=6), max_size=4).map("/".join))
def test_a_platform_is_read_again_from_what_it_writes_or_refused(text: str) -> None:
    platform = outcome(parse_platform, text)
    if isinstance(platform, str):
        assert platform.isprintable()
        return
    assert parse_platform(str(platform)) == platform
    assert platform.satisfies(platform)
