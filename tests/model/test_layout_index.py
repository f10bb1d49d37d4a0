"""`index.json` of a layout: what it names, what survives, and what becomes of a name that moves."""

import json
from typing import Any

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import LONGEST_DOCUMENT
from dockless.model.errors import InvalidDocument, InvalidReference, Unsupported
from dockless.model.layout_index import (
    EMPTY,
    FULL_NAME,
    LAYOUT_FILE,
    REF_NAME,
    LayoutIndex,
    blob_path,
    check_layout_version,
    document_type,
    parse_layout_index,
)
from dockless.model.media_types import DOCKER_MANIFEST, DOCKER_SCHEMA1, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST

A, B, C = (describe(content, OCI_MANIFEST) for content in (b"a", b"b", b"c"))


def entry(of: Descriptor, tag: str = "", **more: Any) -> dict[str, Any]:
    annotations = {REF_NAME: tag} if tag else {}
    annotations |= more.pop("annotations", {})
    fields = {"mediaType": of.media_type, "digest": of.digest, "size": of.size, **more}
    return {**fields, "annotations": annotations} if annotations else fields


def index(*entries: dict[str, Any], **more: Any) -> LayoutIndex:
    return parse_layout_index(json.dumps({"schemaVersion": 2, "manifests": entries, **more}).encode(), "it")


def listed(of: LayoutIndex) -> list[dict[str, Any]]:
    body: dict[str, Any] = json.loads(of.raw)
    entries: list[dict[str, Any]] = body["manifests"]
    return entries


class TestReading:
    def test_an_empty_one_lists_nothing(self) -> None:
        assert json.loads(EMPTY.raw) == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        assert (EMPTY.entries, EMPTY.tags(), EMPTY.only(), EMPTY.find("")) == ((), [], None, None)

    @pytest.mark.parametrize("body", [{"schemaVersion": 2}, {"schemaVersion": 2, "manifests": None}])
    def test_one_without_manifests_lists_nothing(self, body: dict[str, Any]) -> None:
        assert parse_layout_index(json.dumps(body).encode(), "it").entries == ()

    def test_tags_are_listed_each_once_and_in_order(self) -> None:
        assert index(entry(B, "b"), entry(A, "a"), entry(A, "a"), entry(C)).tags() == ["a", "b"]

    def test_a_tag_may_be_any_text(self) -> None:
        for name in ("docker.io/library/alpine:3.20", "größe", "a b", "x" * 300):
            assert index(entry(A), entry(B, name)).find(name) == B

    def test_what_is_found_has_all_its_fields(self) -> None:
        found = index(entry(A, "a", platform={"os": "linux", "architecture": "arm64"}, artifactType="x/y")).find("a")
        assert found is not None
        assert (str(found.platform), found.artifact_type, found.annotations) == ("linux/arm64", "x/y", {REF_NAME: "a"})

    def test_an_entry_is_found_by_digest_and_by_its_full_name(self) -> None:
        full = "docker.io/library/alpine:3"
        some = index(entry(A, "3", annotations={FULL_NAME: full}), entry(B, "2"))
        assert some.find(A.digest) == A
        assert some.find(full) == A
        assert some.find(C.digest) is None
        assert some.find("3.1") is None

    def test_a_tag_that_looks_like_a_digest_is_none(self) -> None:
        assert index(entry(A, B.digest), entry(B)).find(B.digest) == B
        assert index(entry(A, B.digest)).find(B.digest) is None

    def test_a_name_of_two_contents_is_ambiguous_and_says_which(self) -> None:
        two = index(entry(A, "latest"), entry(B, "latest"), entry(C, "other"))
        with pytest.raises(InvalidReference, match="ambiguous") as caught:
            two.find("latest")
        assert A.digest in caught.value.hint
        assert B.digest in caught.value.hint
        assert two.find("other") == C

    def test_two_entries_of_one_content_and_name_are_not_ambiguous(self) -> None:
        assert index(entry(A, "latest"), entry(A, "latest")).find("latest") == A

    @pytest.mark.parametrize(
        ("entries", "only"),
        [
            ([entry(A)], A),
            ([entry(A, "1"), entry(A, "2")], A),
            ([entry(A, "1"), entry(B)], A),  # a referrer, or what the tag was before
            ([entry(A, "1"), entry(B, "2")], None),
            ([entry(A), entry(B)], None),
        ],
    )
    def test_the_only_root_is_the_one_that_is_tagged(self, entries: list[dict[str, Any]], only: Descriptor) -> None:
        assert index(*entries).only() == only


class TestRefusing:
    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"[]",
            b"null",
            b"\xff",
            b"{}",
            b'{"schemaVersion":1,"manifests":[]}',
            b'{"schemaVersion":"2","manifests":[]}',
            b'{"schemaVersion":2,"manifests":{}}',
            b'{"schemaVersion":2,"manifests":[null]}',
            b'{"schemaVersion":2,"manifests":[{}]}',
            b'{"schemaVersion":2,"manifests":[],"layers":[]}',
            b'{"schemaVersion":2,"manifests":[],"config":{}}',
            b'{"schemaVersion":2,"manifests":' + b"[" * 100_000,
        ],
    )
    def test_what_is_no_index(self, raw: bytes) -> None:
        with pytest.raises(InvalidDocument, match="it "):
            parse_layout_index(raw, "it")

    @pytest.mark.parametrize("digest", ["sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:00", ""])
    def test_an_entry_whose_digest_is_none(self, digest: str) -> None:
        with pytest.raises(InvalidDocument, match="not a digest"):
            index({"mediaType": OCI_MANIFEST, "digest": digest, "size": 1})

    def test_one_that_is_too_long(self) -> None:
        with pytest.raises(InvalidDocument, match="more than"):
            parse_layout_index(b" " * (LONGEST_DOCUMENT + 1), "it")

    def test_one_that_would_become_too_long_to_read_again(self) -> None:
        some = index(note="x" * (LONGEST_DOCUMENT - 200))
        assert parse_layout_index(some.raw, "it") == some
        with pytest.raises(Unsupported, match="more than"):
            _ = some.with_tag(A, "y" * 300).raw


class TestTagging:
    def test_a_new_manifest_is_listed_under_its_tag(self) -> None:
        assert listed(EMPTY.with_tag(A, "a")) == [entry(A, "a")]

    def test_a_second_tag_is_a_second_entry(self) -> None:
        assert listed(EMPTY.with_tag(A, "a").with_tag(A, "b")) == [entry(A, "a"), entry(A, "b")]

    def test_an_untagged_entry_gets_the_tag(self) -> None:
        before = index(entry(A, extra=1, annotations={"x": "y"}))
        assert listed(before.with_tag(A, "a")) == [entry(A, "a", extra=1, annotations={"x": "y"})]

    def test_a_manifest_whose_tag_moved_away_stays_listed(self) -> None:
        moved = EMPTY.with_tag(A, "a").with_tag(B, "a")
        assert listed(moved) == [entry(A), entry(B, "a")]

    def test_it_is_not_listed_untagged_when_it_has_another_tag(self) -> None:
        moved = EMPTY.with_tag(A, "a").with_tag(A, "b").with_tag(B, "a")
        assert listed(moved) == [entry(A, "b"), entry(B, "a")]

    def test_the_same_again_changes_nothing(self) -> None:
        before = EMPTY.with_tag(A, "a")
        assert before.with_tag(A, "a") is before

    def test_a_tag_that_comes_back_uses_the_entry_that_stayed(self) -> None:
        assert listed(EMPTY.with_tag(A, "a").with_tag(B, "a").with_tag(A, "a")) == [entry(A, "a"), entry(B)]

    def test_names_of_where_it_came_from_are_not_taken_along(self) -> None:
        notes = {REF_NAME: "old", FULL_NAME: "docker.io/library/x:old", "kept": "yes"}
        came = Descriptor(A.media_type, A.digest, A.size, annotations=notes)
        assert listed(EMPTY.with_tag(came, "new")) == [entry(A, "new", annotations={"kept": "yes"})]
        assert listed(EMPTY.with_entry(came)) == [entry(A, annotations={"kept": "yes"})]

    def test_a_full_name_stays_with_its_tag_and_goes_with_it(self) -> None:
        before = index(entry(A, "a", annotations={FULL_NAME: "docker.io/library/x:a"}))
        assert listed(before.with_tag(A, "a")) == listed(before)
        assert listed(before.with_tag(B, "b"))[0] == listed(before)[0]
        assert listed(before.with_tag(A, "b"))[1] == entry(A, "b")
        assert listed(before.with_tag(B, "a"))[0] == entry(A)

    @pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "\x1b[2J"])
    def test_what_is_no_text_is_refused(self, name: str) -> None:
        with pytest.raises(InvalidReference, match="not a tag"):
            EMPTY.with_tag(A, name)

    def test_an_ambiguous_tag_is_not_moved(self) -> None:
        two = index(entry(A, "latest"), entry(B, "latest"))
        with pytest.raises(InvalidReference, match="ambiguous"):
            two.with_tag(C, "latest")
        with pytest.raises(InvalidReference, match="ambiguous"):
            two.without_tag("latest")
        assert listed(two.without(A.digest).with_tag(C, "latest")) == [entry(B), entry(C, "latest")]


class TestChanging:
    def test_an_untagged_root_is_listed_once_with_what_is_known_of_it(self) -> None:
        referrer = Descriptor(A.media_type, A.digest, A.size, artifact_type="x/y", annotations={"made": "here"})
        some = EMPTY.with_entry(referrer)
        assert listed(some) == [entry(A, artifactType="x/y", annotations={"made": "here"})]
        assert some.with_entry(A) is some

    def test_a_tagged_manifest_is_a_root_already(self) -> None:
        some = EMPTY.with_tag(A, "a")
        assert some.with_entry(A) is some

    def test_untagging_leaves_the_entry_in_its_place(self) -> None:
        some = EMPTY.with_tag(A, "a").with_tag(B, "b")
        assert listed(some.without_tag("a")) == [entry(A), entry(B, "b")]
        assert some.without_tag("c") is some

    def test_untagging_one_of_two_leaves_the_other(self) -> None:
        assert listed(EMPTY.with_tag(A, "a").with_tag(A, "b").without_tag("a")) == [entry(A, "b")]

    def test_removing_takes_every_tag(self) -> None:
        some = EMPTY.with_tag(A, "a").with_tag(A, "b").with_tag(B, "c")
        assert listed(some.without(A.digest)) == [entry(B, "c")]
        assert some.without(C.digest) is some

    def test_what_is_not_known_survives_to_the_digit(self) -> None:
        raw = (
            b'{"schemaVersion":2,"x-number":1.50,"manifests":[{"x-deep":{"a":[1e400,{"b":null}]},"mediaType":"x/y",'
            b'"digest":"%b","size":1}],"annotations":{"of":"the index"}}' % A.digest.encode()
        )
        same = parse_layout_index(raw, "it")
        assert same.raw == raw
        changed = same.with_tag(A, "a").with_tag(B, "b").without(B.digest).with_entry(C).raw
        for kept in (b'"x-number":1.50', b'"x-deep":{"a":[1e400,{"b":null}]}', b'"annotations":{"of":"the index"}'):
            assert kept in changed

    def test_the_same_changes_give_the_same_bytes(self) -> None:
        assert EMPTY.with_tag(A, "a").with_tag(B, "a").raw == EMPTY.with_tag(A, "a").with_tag(B, "a").raw


class TestFiles:
    def test_a_blob_lies_under_its_algorithm(self) -> None:
        assert blob_path(A.digest) == f"blobs/sha256/{A.digest[7:]}"

    @pytest.mark.parametrize("raw", [LAYOUT_FILE, b'{"imageLayoutVersion": "1.1.0", "x": 1}\n'])
    def test_versions_that_can_be_read(self, raw: bytes) -> None:
        check_layout_version(raw, "it")

    @pytest.mark.parametrize(
        ("raw", "error"),
        [
            (b'{"imageLayoutVersion":"2.0.0"}', Unsupported),
            (b'{"imageLayoutVersion":"10.0.0"}', Unsupported),
            (b'{"imageLayoutVersion":1}', InvalidDocument),
            (b"{}", InvalidDocument),
            (b"", InvalidDocument),
        ],
    )
    def test_versions_that_cannot(self, raw: bytes, error: type[Exception]) -> None:
        with pytest.raises(error, match="it is"):
            check_layout_version(raw, "it")

    @pytest.mark.parametrize(
        ("body", "media_type"),
        [
            ({"config": {}, "layers": []}, OCI_MANIFEST),
            ({"manifests": []}, OCI_INDEX),
            ({"mediaType": DOCKER_MANIFEST, "config": {}, "layers": []}, DOCKER_MANIFEST),
            ({"mediaType": "x/y", "config": {}, "layers": []}, "x/y"),
            ({"mediaType": DOCKER_SCHEMA1, "fsLayers": []}, DOCKER_SCHEMA1),
            ({"manifests": [], "config": {}, "layers": []}, None),
            ({"mediaType": OCI_CONFIG, "config": {}}, None),
            ({"config": {}}, None),
            ({"layers": []}, None),
            ({"layers": 1}, None),
            ([], None),
        ],
    )
    def test_a_document_is_known_by_what_it_says_or_by_its_shape(self, body: object, media_type: str | None) -> None:
        assert document_type(json.dumps(body).encode()) == media_type

    @pytest.mark.parametrize("raw", [b"", b"\x1f\x8b\x08", b"{"])
    def test_other_bytes_are_no_document(self, raw: bytes) -> None:
        assert document_type(raw) is None
