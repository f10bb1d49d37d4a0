"""Images in a layout directory."""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.documents import LONGEST_DOCUMENT, make_document
from dockless.model.errors import (
    ChecksumMismatch,
    InvalidDocument,
    InvalidReference,
    LocalFault,
    NotFound,
    Unsupported,
)
from dockless.model.events import BlobFinished, BlobStarted, Event
from dockless.model.layout_index import LAYOUT_FILE, REF_NAME
from dockless.model.media_types import DOCKER_MANIFEST, DOCKER_SCHEMA1, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from dockless.stores import layout as layouts
from dockless.stores.base import BlobFinder, Deleter, Ingestor, LocalFiles, NamedFetcher, Store, TagLister
from dockless.stores.oci_layout import OciLayout
from dockless.testing.contract import CONTENT, LAYER, StoreContract, given, got, image, put
from dockless.wire.stream import BytesReader


@pytest.fixture
def layout(tmp_path: Path) -> OciLayout:
    return OciLayout(tmp_path / "layout")


def index_of(layout: OciLayout, *manifests: Descriptor) -> Descriptor:
    body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    descriptor, raw = make_document(body)
    layout.push(descriptor, given(raw))
    return descriptor


def listed(layout: OciLayout) -> list[tuple[str, str]]:
    """Return the digest and the tag of each entry as they stand in the file."""
    body = json.loads((layout.path / "index.json").read_bytes())
    return [(one["digest"], one.get("annotations", {}).get(REF_NAME, "")) for one in body["manifests"]]


def file_of(layout: OciLayout, digest: Digest) -> Path:
    return layout.path / "blobs" / digest.replace(":", "/")


class TestOciLayout(StoreContract):
    abilities = frozenset({BlobFinder, NamedFetcher, Ingestor, TagLister, Deleter, LocalFiles})

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return OciLayout(tmp_path / "a" / "layout")

    @pytest.fixture
    def again(self, tmp_path: Path) -> Callable[[Store], Store]:
        return lambda _: OciLayout(tmp_path / "a" / "layout")


class TestDirectory:
    def test_nothing_is_made_where_there_is_nothing(self, layout: OciLayout, tmp_path: Path) -> None:
        acts: list[Callable[[], object]] = [
            layout.tags,
            lambda: layout.resolve("x"),
            lambda: layout.fetch(LAYER),
            lambda: layout.untag("x"),
            lambda: layout.tag(LAYER, "x"),
            lambda: layout.delete(LAYER),
        ]
        for act in acts:
            with pytest.raises(NotFound, match=f"no directory {layout.path}"):
                act()
        assert list(tmp_path.iterdir()) == []

    def test_it_is_made_by_the_first_blob(self, layout: OciLayout) -> None:
        put(layout, CONTENT)
        assert (layout.path / "oci-layout").read_bytes() == LAYOUT_FILE
        assert sorted(path.name for path in layout.path.iterdir()) == ["blobs", "oci-layout"]
        assert list(layout.tags()) == []
        assert stat.S_IMODE(file_of(layout, LAYER.digest).stat().st_mode) & 0o222 == 0

    def test_nothing_of_ours_is_left_in_it(self, layout: OciLayout) -> None:
        layout.tag(image(layout), "1.0")
        layout.untag("1.0")
        assert sorted(path.name for path in layout.path.iterdir()) == ["blobs", "index.json", "oci-layout"]
        assert [path.name for path in (layout.path / "blobs").iterdir()] == ["sha256"]

    def test_a_directory_that_is_no_layout_says_so(self, layout: OciLayout) -> None:
        layout.path.mkdir()
        (layout.path / "index.json").write_text("{}")
        with pytest.raises(NotFound, match="is no OCI image layout"):
            layout.resolve("latest")
        assert not layout.exists(LAYER)

    def test_a_file_is_no_directory(self, layout: OciLayout) -> None:
        layout.path.write_bytes(b"a tar")
        with pytest.raises(NotFound, match="no directory") as caught:
            layout.resolve("latest")
        assert "oci-archive" in caught.value.hint
        with pytest.raises(LocalFault):
            put(layout, CONTENT)

    def test_a_layout_of_another_version_is_neither_read_nor_written(self, layout: OciLayout) -> None:
        layout.path.mkdir()
        (layout.path / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')
        with pytest.raises(Unsupported, match=r"2\.0\.0"):
            layout.resolve("latest")
        with pytest.raises(Unsupported, match=r"2\.0\.0"):
            put(layout, CONTENT)
        assert len(list(layout.path.iterdir())) == 1

    def test_what_a_killed_process_left_is_swept_up_by_the_next_write(self, layout: OciLayout) -> None:
        layout.path.mkdir()
        (layout.path / ".ingest-0123456789abcdef.partial").touch()
        put(layout, CONTENT)
        assert sorted(path.name for path in layout.path.iterdir()) == ["blobs", "oci-layout"]

    def test_other_files_are_left_alone(self, layout: OciLayout) -> None:
        layout.tag(image(layout), "1.0")
        (layout.path / "blobs" / "md5").mkdir()
        for name in ("README", "blobs/sha256/strange", "blobs/md5/x"):
            (layout.path / name).write_text("x")
        assert list(layout.tags()) == ["1.0"]
        image(layout, b"another layer")
        assert (layout.path / "README").read_text() == "x"

    def test_what_cannot_be_written_is_a_local_fault(self, layout: OciLayout) -> None:
        wanted = image(layout)
        (layout.path / ".index.json.new").mkdir()
        with pytest.raises(LocalFault, match=r"index\.json"):
            layout.tag(wanted, "1.0")

    @pytest.mark.parametrize("name", ["index.json", "oci-layout"])
    def test_a_file_that_is_too_long_is_not_read(self, layout: OciLayout, name: str) -> None:
        layout.tag(image(layout), "1.0")
        os.truncate(layout.path / name, LONGEST_DOCUMENT + 1)
        with pytest.raises(InvalidDocument, match="more than"):
            layout.resolve("1.0")

    def test_a_broken_index_is_not_replaced(self, layout: OciLayout) -> None:
        wanted = image(layout)
        (layout.path / "index.json").write_bytes(b"{")
        with pytest.raises(InvalidDocument, match=r"index\.json") as caught:
            layout.tag(wanted, "1.0")
        assert caught.value.hint == InvalidDocument.usual_hint
        assert "registry" not in caught.value.hint
        assert (layout.path / "index.json").read_bytes() == b"{"


class TestResolving:
    def test_the_only_image_needs_no_name(self, layout: OciLayout) -> None:
        put(layout, b"no manifest", OCI_MANIFEST)
        with pytest.raises(NotFound, match="no image"):
            layout.resolve("")
        wanted = image(layout)
        layout.tag(wanted, "1.0")
        layout.tag(wanted, "latest")
        image(layout, b"a signature", subject=wanted)
        assert layout.resolve("") == wanted

    def test_one_of_several_needs_a_name_and_the_tags_are_told(self, layout: OciLayout) -> None:
        layout.tag(image(layout), "1.0")
        layout.tag(image(layout, b"another layer"), "2.0")
        with pytest.raises(InvalidReference) as caught:
            layout.resolve("")
        assert "1.0, 2.0" in caught.value.hint

    def test_of_many_tags_a_few_are_told(self, layout: OciLayout) -> None:
        wanted = image(layout)
        for number in range(23):
            layout.tag(wanted, f"v{number:02}")
        with pytest.raises(NotFound, match=r"1\.0") as caught:
            layout.resolve("1.0")
        assert "v19 and 3 more" in caught.value.hint

    def test_a_manifest_that_is_not_listed_is_found_by_digest(self, layout: OciLayout) -> None:
        for media_type in ({"mediaType": DOCKER_MANIFEST}, {}):
            raw = json.dumps({"schemaVersion": 2, **media_type, "config": {}, "layers": []}).encode()
            put(layout, raw)
            assert layout.resolve(describe(raw, "").digest).media_type == media_type.get("mediaType", OCI_MANIFEST)

    def test_another_blob_is_no_manifest(self, layout: OciLayout) -> None:
        put(layout, CONTENT)
        with pytest.raises(NotFound, match=LAYER.digest):
            layout.resolve(LAYER.digest)
        assert layout.find_blob(LAYER.digest) == Descriptor("application/octet-stream", LAYER.digest, LAYER.size)

    def test_a_blob_that_is_too_long_for_a_manifest_is_not_read(self, layout: OciLayout) -> None:
        put(layout, CONTENT)
        file_of(layout, LAYER.digest).chmod(0o644)
        os.truncate(file_of(layout, LAYER.digest), LONGEST_DOCUMENT + 1)
        with pytest.raises(NotFound):
            layout.resolve(LAYER.digest)

    def test_a_damaged_manifest_is_not_given(self, layout: OciLayout) -> None:
        wanted = image(layout)
        layout.tag(wanted, "1.0")
        path = file_of(layout, wanted.digest)
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"2", b"3", 1))
        with pytest.raises(ChecksumMismatch):
            layout.fetch_named("1.0")
        layout.untag("1.0")
        (layout.path / "index.json").unlink()
        with pytest.raises(ChecksumMismatch):
            layout.resolve(wanted.digest)

    def test_what_is_listed_and_not_there_is_not_found(self, layout: OciLayout) -> None:
        wanted = image(layout)
        layout.tag(wanted, "1.0")
        file_of(layout, wanted.digest).unlink()
        for name in ("1.0", wanted.digest):
            with pytest.raises(NotFound, match=f"{wanted.digest}, which"):
                layout.resolve(name)

    def test_a_blob_is_known_by_digest_alone(self, layout: OciLayout) -> None:
        assert isinstance(layout, BlobFinder)
        with pytest.raises(NotFound, match=LAYER.digest):
            layout.find_blob(LAYER.digest)

    @pytest.mark.skipif(os.name == "nt", reason="no FIFOs there")
    @pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
    def test_a_blob_that_is_no_regular_file_is_not_here(self, layout: OciLayout, tmp_path: Path, kind: str) -> None:
        put(layout, b"x")
        path = file_of(layout, LAYER.digest)
        (tmp_path / "secret").write_bytes(CONTENT)
        if kind == "link":
            path.symlink_to(tmp_path / "secret")
        elif kind == "fifo":
            os.mkfifo(path)
        else:
            path.mkdir()
        assert not layout.exists(LAYER)
        assert layout.path_of(LAYER) is None
        with pytest.raises(LocalFault, match="cannot read"):
            layout.fetch(LAYER)

    def test_a_document_that_is_too_long_is_neither_read_nor_taken(self, layout: OciLayout) -> None:
        long = Descriptor(OCI_MANIFEST, LAYER.digest, LONGEST_DOCUMENT + 1)
        with pytest.raises(InvalidDocument, match="too many for a document"):
            layout.read(long)
        with pytest.raises(InvalidDocument, match="too many for a document"):
            layout.push(long, given(b""))


class TestListing:
    def test_a_manifest_that_is_not_there_gets_no_tag(self, layout: OciLayout) -> None:
        put(layout, CONTENT)
        with pytest.raises(NotFound, match="is not in"):
            layout.tag(describe(b"other", OCI_MANIFEST), "1.0")
        with pytest.raises(NotFound, match="is not in"):
            layout.tag(Descriptor(OCI_MANIFEST, LAYER.digest, LAYER.size + 1), "1.0")

    def test_a_digest_for_a_tag_lists_a_root(self, layout: OciLayout) -> None:
        wanted = image(layout)
        layout.tag(wanted, wanted.digest)
        layout.tag(wanted, wanted.digest)
        assert listed(layout) == [(wanted.digest, "")]
        assert list(layout.tags()) == []
        assert layout.resolve("") == wanted
        with pytest.raises(InvalidReference):
            layout.tag(wanted, LAYER.digest)

    def test_a_manifest_whose_tag_moves_stays_listed(self, layout: OciLayout) -> None:
        first, second = image(layout), image(layout, b"another layer")
        layout.tag(first, "latest")
        layout.tag(second, "latest")
        assert listed(layout) == [(first.digest, ""), (second.digest, "latest")]

    def test_the_same_tag_again_writes_nothing(self, layout: OciLayout) -> None:
        wanted = image(layout)
        layout.tag(wanted, "latest")
        before = (layout.path / "index.json").stat().st_ino
        layout.tag(wanted, "latest")
        assert (layout.path / "index.json").stat().st_ino == before

    def test_a_referrer_is_listed_with_what_is_known_of_it(self, layout: OciLayout) -> None:
        subject = image(layout)
        referrer = image(layout, b"sbom", subject=subject, artifactType="x/sbom", annotations={"made": "here"})
        entry = json.loads((layout.path / "index.json").read_bytes())["manifests"][0]
        assert entry == {
            "mediaType": OCI_MANIFEST,
            "digest": referrer.digest,
            "size": referrer.size,
            "annotations": {"made": "here"},
            "artifactType": "x/sbom",
        }

    def test_a_referrer_that_came_and_was_not_listed_is_listed_by_the_next_try(self, layout: OciLayout) -> None:
        subject = image(layout)
        referrer = image(layout, b"sbom", subject=subject)
        (layout.path / "index.json").unlink()
        assert list(layout.predecessors(subject)) == []
        layout.push(referrer, lambda _: pytest.fail("it is there"))
        assert list(layout.predecessors(subject)) == [referrer]

    def test_referrers_are_found_below_indexes_each_once(self, layout: OciLayout) -> None:
        subject = image(layout)
        referrer = image(layout, b"sbom", subject=subject)
        inner = index_of(layout, referrer, subject)
        outer = index_of(layout, inner, referrer, describe(b"not here", OCI_MANIFEST), describe(b"x", "x/y"))
        (layout.path / "index.json").unlink()
        layout.tag(outer, "all")
        layout.tag(inner, "inner")
        assert list(layout.predecessors(subject)) == [referrer]

    def test_documents_come_in_order_and_other_content_is_not_read(self, layout: OciLayout) -> None:
        first, second, other = image(layout), image(layout, b"another layer"), put(layout, b"{}", "x/y")
        inner = index_of(layout, second, first)
        outer = index_of(layout, other, inner, first)
        found = [one.descriptor for one in layout.documents([first, outer])]
        assert found == [first, outer, inner, second]

    def test_what_cannot_be_read_hides_no_referrer(self, layout: OciLayout) -> None:
        subject = image(layout)
        referrer = image(layout, b"sbom", subject=subject)
        broken, damaged = put(layout, b"no manifest", OCI_MANIFEST), image(layout, b"a", subject=subject)
        schema1 = put(layout, b"{}", DOCKER_SCHEMA1)
        for one in (broken, damaged, schema1):
            layout.tag(one, one.digest)
        file_of(layout, damaged.digest).chmod(0o644)
        file_of(layout, damaged.digest).write_bytes(b" " * damaged.size)
        assert list(layout.predecessors(subject)) == [referrer]

    def test_more_manifests_than_any_layout_has_are_refused(
        self, layout: OciLayout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(3):
            layout.tag(image(layout, b"%d" % number), str(number))
        monkeypatch.setattr(layouts, "_MOST_DOCUMENTS", 2)
        with pytest.raises(InvalidDocument, match="more than 2"):
            list(layout.predecessors(LAYER))

    def test_what_is_listed_and_gone_can_still_be_removed(self, layout: OciLayout) -> None:
        wanted = image(layout)
        layout.tag(wanted, "1.0")
        file_of(layout, wanted.digest).unlink()
        layout.delete(wanted)
        assert listed(layout) == []


class TestContent:
    def test_sha512_is_another_directory(self, layout: OciLayout) -> None:
        wanted = Descriptor(OCI_LAYER, Digest(f"sha512:{hashlib.sha512(CONTENT).hexdigest()}"), len(CONTENT))
        layout.push(wanted, given(CONTENT))
        assert got(layout, wanted) == CONTENT
        assert layout.path_of(wanted) == layout.path / "blobs" / "sha512" / wanted.digest[7:]
        with pytest.raises(ChecksumMismatch):
            layout.push(Descriptor(OCI_LAYER, Digest("sha512:" + "0" * 128), len(CONTENT)), given(CONTENT))

    def test_blobs_are_told_of_and_documents_are_not(self, tmp_path: Path) -> None:
        events: list[Event] = []
        layout = OciLayout(tmp_path / "layout", events.append)
        image(layout)
        assert [type(event) for event in events].count(BlobStarted) == 2  # the config and the layer
        put(layout, CONTENT)
        assert events[-1] == BlobFinished(LAYER.digest, LAYER.size, None)

    def test_what_was_ingested_has_the_type_it_was_given(self, layout: OciLayout) -> None:
        assert layout.ingest(OCI_CONFIG, BytesReader(b"{}")) == describe(b"{}", OCI_CONFIG)
