"""The index under the fallback tag."""

import json

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.documents import Index, parse_document
from dockless.model.media_types import DOCKER_INDEX, OCI_INDEX, OCI_MANIFEST
from dockless.model.reference import is_tag
from dockless.model.referrers import fallback_tag, with_referrer, without_referrers

ONE = Descriptor(OCI_MANIFEST, describe(b"one", "").digest, 3, annotations={"a": "b"}, artifact_type="x/y")
TWO = Descriptor(OCI_MANIFEST, describe(b"two", "").digest, 3)


def index(body: dict[str, object]) -> Index:
    raw = json.dumps(body).encode()
    document = parse_document(describe(raw, str(body.get("mediaType", OCI_INDEX))), raw)
    assert isinstance(document, Index)
    return document


def read(made: tuple[Descriptor, bytes] | None) -> Index:
    assert made is not None
    document = parse_document(*made)
    assert isinstance(document, Index)
    return document


@pytest.mark.parametrize(
    ("digest", "tag"),
    [
        ("sha256:" + "a" * 64, "sha256-" + "a" * 64),
        ("sha512:" + "b" * 128, "sha512-" + "b" * 64),
        ("sha256+b64u:LCa0a2j_xo/5m0U8HTBBNBNCLXBkg7", "sha256-b64u-LCa0a2j_xo-5m0U8HTBBNBNCLXBkg7"),
        ("x" * 40 + ":ff", "x" * 32 + "-ff"),
    ],
)
def test_the_fallback_tag_is_algorithm_and_hex_cut_and_made_a_tag(digest: str, tag: str) -> None:
    assert fallback_tag(Digest(digest)) == tag
    assert is_tag(tag)


def test_without_an_index_a_new_one_begins() -> None:
    made = read(with_referrer(None, ONE))
    assert json.loads(made.raw) == {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            {
                "mediaType": OCI_MANIFEST,
                "digest": ONE.digest,
                "size": 3,
                "annotations": {"a": "b"},
                "artifactType": "x/y",
            }
        ],
    }


def test_a_referrer_comes_after_those_there() -> None:
    made = read(with_referrer(read(with_referrer(None, ONE)), TWO))
    assert made.manifests == (ONE, TWO)
    assert made.manifests[0].annotations == ONE.annotations


def test_a_referrer_that_is_there_changes_nothing() -> None:
    there = read(with_referrer(None, ONE))
    assert with_referrer(there, Descriptor(OCI_MANIFEST, ONE.digest, 3, annotations={"other": "words"})) is None


@pytest.mark.parametrize("manifests", [{}, {"manifests": None}, {"manifests": []}])
def test_an_index_without_entries_takes_one(manifests: dict[str, object]) -> None:
    assert read(with_referrer(index({"schemaVersion": 2, **manifests}), ONE)).manifests == (ONE,)


def test_what_is_not_known_survives_and_the_type_stays() -> None:
    entry = {"mediaType": OCI_MANIFEST, "digest": TWO.digest, "size": 3, "newField": [1]}
    there = index({"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": [entry], "more": {"x": 1}})
    body = json.loads(read(with_referrer(there, ONE)).raw)
    assert body["mediaType"] == DOCKER_INDEX
    assert body["more"] == {"x": 1}
    assert body["manifests"][0] == entry
    left = json.loads(read(without_referrers(read(with_referrer(there, ONE)), {ONE.digest})).raw)
    assert left == {"schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": [entry], "more": {"x": 1}}


def test_the_last_referrer_leaves_an_empty_index() -> None:
    assert read(without_referrers(read(with_referrer(None, ONE)), {ONE.digest})).manifests == ()


def test_who_is_not_there_cannot_leave() -> None:
    assert without_referrers(read(with_referrer(None, ONE)), {TWO.digest}) is None
    assert without_referrers(index({"schemaVersion": 2}), {TWO.digest}) is None
