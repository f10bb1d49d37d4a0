"""Manifests and indexes: what they point at, what is refused, and that their bytes stay what they are."""

from typing import Any

import msgspec
import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import Document, Index, Manifest, Opaque, make_document, parse_document
from dockless.model.errors import InvalidDocument
from dockless.model.media_types import DOCKER_INDEX, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

CONFIG = describe(b"{}", OCI_CONFIG)
LAYER = describe(b"layer", OCI_LAYER)
OTHER = describe(b"other", OCI_LAYER)
SUBJECT = describe(b"subject", OCI_MANIFEST)


def read(body: dict[str, Any] | bytes, media_type: str = OCI_MANIFEST) -> Document:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return parse_document(describe(raw, media_type), raw)


def manifest(**more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER, OTHER, LAYER]} | more


def index(**more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [SUBJECT, SUBJECT]} | more


def test_the_successors_of_a_manifest_are_its_config_and_layers_each_once() -> None:
    document = read(manifest())
    assert isinstance(document, Manifest)
    assert document.layers == (LAYER, OTHER, LAYER)
    assert document.successors == (CONFIG, LAYER, OTHER)


def test_the_successors_of_an_index_are_its_manifests_each_once() -> None:
    document = read(index(), OCI_INDEX)
    assert isinstance(document, Index)
    assert document.successors == (SUBJECT,)


def test_null_lists_are_empty_ones() -> None:
    image, listing = read(manifest(layers=None)), read(index(manifests=None), OCI_INDEX)
    assert image.successors == (CONFIG,)
    assert listing.successors == ()


@pytest.mark.parametrize("said", [None, ""])
def test_a_document_may_leave_out_its_media_type(said: str | None) -> None:
    assert isinstance(read(manifest(mediaType=said), DOCKER_MANIFEST), Manifest)
    assert isinstance(read(index(mediaType=said), DOCKER_INDEX), Index)


def test_the_bytes_are_kept_with_what_is_not_known_here() -> None:
    raw = msgspec.json.encode(manifest(strange={"a": 1})) + b"\n "
    document = read(raw)
    assert document.raw == raw
    assert document.descriptor == describe(raw, OCI_MANIFEST)


def test_a_document_of_a_type_that_is_not_known_has_no_successors_and_refers_to_nothing() -> None:
    document = read(b"\x00 not even json", "application/x-strange")
    assert isinstance(document, Opaque)
    assert document.successors == ()
    assert document.subject is None
    document.as_referrer(SUBJECT)


@pytest.mark.parametrize(
    ("body", "media_type", "words"),
    [
        (b"", OCI_MANIFEST, "not what it should be"),
        (b"[]", OCI_MANIFEST, "not what it should be"),
        (b"{}", OCI_MANIFEST, "not what it should be"),
        (b"[" * 100_000, OCI_INDEX, "not what it should be"),
        (manifest(mediaType=OCI_INDEX), OCI_MANIFEST, "says it is"),
        (manifest(mediaType="\x1b[31m"), OCI_MANIFEST, "says it is"),
        (manifest(schemaVersion=1), OCI_MANIFEST, "of schema 1"),
        (manifest(fsLayers=[]), OCI_MANIFEST, "of schema 2"),
        (manifest(manifests=[]), OCI_MANIFEST, "what only an index may"),
        (manifest(config=None), OCI_MANIFEST, "without a config"),
        (index(config=CONFIG), OCI_INDEX, "what only a manifest may"),
        (index(layers=[]), OCI_INDEX, "what only a manifest may"),
        (manifest(layers=[{"mediaType": "a", "digest": "../etc", "size": 1}]), OCI_MANIFEST, "not a digest"),
        (manifest(layers=[{"mediaType": "a", "digest": LAYER.digest, "size": -1}]), OCI_MANIFEST, "not a size"),
    ],
)
def test_what_is_no_document_of_its_type_is_refused(body: Any, media_type: str, words: str) -> None:
    with pytest.raises(InvalidDocument, match=words) as caught:
        read(body, media_type)
    assert "\x1b" not in str(caught.value)


def test_a_document_with_too_many_entries_is_refused() -> None:
    with pytest.raises(InvalidDocument, match="10001 entries"):
        read(index(manifests=[SUBJECT] * 10_001), OCI_INDEX)
    assert isinstance(read(index(manifests=[SUBJECT] * 10_000), OCI_INDEX), Index)


def test_a_referrer_is_listed_with_its_artifact_type_and_annotations() -> None:
    document = read(manifest(subject=SUBJECT, artifactType="application/x-sbom", annotations={"k": "v"}))
    listed = document.as_referrer(SUBJECT)
    assert listed == document.descriptor
    assert listed is not None
    assert (listed.artifact_type, listed.annotations) == ("application/x-sbom", {"k": "v"})


def test_a_manifest_without_artifact_type_is_listed_with_that_of_its_config_and_an_index_with_none() -> None:
    image = read(manifest(subject=SUBJECT)).as_referrer(SUBJECT)
    listing = read(index(subject=SUBJECT), OCI_INDEX).as_referrer(SUBJECT)
    assert image is not None
    assert image.artifact_type == OCI_CONFIG
    assert listing is not None
    assert listing.artifact_type is None


@pytest.mark.parametrize("subject", [None, LAYER])
def test_what_has_another_subject_or_none_is_no_referrer(subject: Descriptor | None) -> None:
    assert read(manifest(subject=subject)).as_referrer(SUBJECT) is None
    assert read(index(subject=subject), OCI_INDEX).as_referrer(SUBJECT) is None


def test_a_document_that_is_made_can_be_read_again() -> None:
    descriptor, raw = make_document(manifest(layers=[LAYER]))
    assert descriptor == describe(raw, OCI_MANIFEST)
    document = parse_document(descriptor, raw)
    assert isinstance(document, Manifest)
    assert document.layers == (LAYER,)
    assert b" " not in raw
