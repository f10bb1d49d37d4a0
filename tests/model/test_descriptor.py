"""Descriptors: made only from what can be a digest and a size."""

import msgspec
import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.media_types import OCI_LAYER
from dockless.model.platform import Platform

EMPTY = Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_bytes_are_described_by_type_digest_and_size() -> None:
    assert describe(b"", OCI_LAYER) == Descriptor(OCI_LAYER, EMPTY, 0)


def test_two_are_equal_when_type_digest_and_size_are() -> None:
    plain = Descriptor(OCI_LAYER, EMPTY, 0)
    adorned = Descriptor(OCI_LAYER, EMPTY, 0, annotations={"a": "b"}, platform=Platform(os="linux"))
    assert plain == adorned
    assert len({plain, adorned}) == 1
    assert plain != Descriptor(OCI_LAYER, EMPTY, 1)
    assert plain != Descriptor("text/plain", EMPTY, 0)
    assert plain != EMPTY


@pytest.mark.parametrize("digest", ["", "latest", "sha256:abc", "md5:" + "a" * 32, "sha256:../" + "a" * 61])
def test_no_descriptor_is_made_of_what_is_no_digest(digest: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        Descriptor(OCI_LAYER, Digest(digest), 0)


@pytest.mark.parametrize("size", [-1, 1 << 63])
def test_no_descriptor_is_made_of_what_is_no_size(size: int) -> None:
    with pytest.raises(ValueError, match="not a size"):
        Descriptor(OCI_LAYER, EMPTY, size)


def test_json_holds_the_names_of_the_specification_and_nothing_that_is_not_there() -> None:
    full = Descriptor(
        "a/b",
        EMPTY,
        0,
        Platform(architecture="arm", os="linux", os_version="1"),
        {"k": "v"},
        "c/d",
        b"hi",
        ("http://x",),
    )
    assert msgspec.json.decode(msgspec.json.encode(full)) == {
        "mediaType": "a/b",
        "digest": EMPTY,
        "size": 0,
        "platform": {"architecture": "arm", "os": "linux", "os.version": "1"},
        "annotations": {"k": "v"},
        "artifactType": "c/d",
        "data": "aGk=",
        "urls": ["http://x"],
    }
    assert set(msgspec.json.decode(msgspec.json.encode(Descriptor("a/b", EMPTY, 0)))) == {"mediaType", "digest", "size"}
    assert msgspec.json.decode(msgspec.json.encode(full), type=Descriptor).data == b"hi"


def test_plain_is_the_same_content_without_what_a_document_says_of_it() -> None:
    full = Descriptor(
        "a/b", EMPTY, 0, Platform(architecture="arm", os="linux"), {"k": "v"}, "c/d", b"hi", ("http://x",)
    )
    assert full.plain == full
    assert msgspec.json.encode(full.plain) == msgspec.json.encode(Descriptor("a/b", EMPTY, 0))
