"""Layouts that Debian's skopeo and umoci read when we wrote them, and that we read when they did."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from functools import partial
from pathlib import Path

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import Index, Manifest, make_document, parse_document
from dockless.model.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.testing.contract import got
from dockless.wire.stream import BytesReader
from tests.require import absent


def run(program: str, *arguments: object) -> str:
    """Run a program; fail with its own words."""
    path = shutil.which(program) or absent(f"{program}: no such program")
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def put(layout: OciLayout, content: bytes, media_type: str) -> Descriptor:
    wanted = describe(content, media_type)
    layout.push(wanted, partial(BytesReader, content))
    return wanted


def image(layout: OciLayout, text: str, architecture: str = "amd64", **more: object) -> Descriptor:
    """Put an image into a layout whose file system is one file with a text in it."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("greeting")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    layer = put(layout, gzip.compress(tar.getvalue(), mtime=0), OCI_LAYER_GZIP)
    diff_id = f"sha256:{hashlib.sha256(tar.getvalue()).hexdigest()}"
    platform = {"architecture": architecture, "os": "linux"}
    config = json.dumps({**platform, "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
    parts = {"config": put(layout, config, OCI_CONFIG), "layers": [layer]}
    manifest, raw = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, **parts, **more})
    return put(layout, raw, manifest.media_type)


def index(layout: OciLayout, *texts: str) -> Descriptor:
    manifests = [
        {"mediaType": one.media_type, "digest": one.digest, "size": one.size, "platform": platform}
        for one, platform in (
            (image(layout, text, architecture), {"architecture": architecture, "os": "linux"})
            for text, architecture in zip(texts, ("amd64", "arm64"), strict=True)
        )
    ]
    descriptor, raw = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
    return put(layout, raw, descriptor.media_type)


@pytest.fixture
def layout(tmp_path: Path) -> OciLayout:
    return OciLayout(tmp_path / "layout")


class TestOurs:
    def test_skopeo_reads_each_tag(self, layout: OciLayout, tmp_path: Path) -> None:
        for tag in ("1.0", "2.0", "2.0-rc.1_x"):
            wanted = image(layout, tag)
            layout.tag(wanted, tag)
            assert run("skopeo", "inspect", "--raw", f"oci:{layout.path}:{tag}").encode() == got(layout, wanted)
            run("skopeo", "copy", f"oci:{layout.path}:{tag}", f"dir:{tmp_path / tag}")
            assert (tmp_path / tag / "manifest.json").read_bytes() == got(layout, wanted)

    def test_skopeo_reads_the_only_image_without_a_tag(self, layout: OciLayout, tmp_path: Path) -> None:
        layout.tag(image(layout, "hello"), "latest")
        run("skopeo", "copy", f"oci:{layout.path}", f"dir:{tmp_path / 'out'}")

    def test_skopeo_reads_an_index_with_all_that_is_in_it(self, layout: OciLayout, tmp_path: Path) -> None:
        wanted = index(layout, "for amd64", "for arm64")
        layout.tag(wanted, "all")
        run("skopeo", "copy", "--all", "--preserve-digests", f"oci:{layout.path}:all", f"dir:{tmp_path / 'out'}")
        assert (tmp_path / "out" / "manifest.json").read_bytes() == got(layout, wanted)

    def test_skopeo_follows_a_tag_that_moved(self, layout: OciLayout) -> None:
        for text in ("first", "second"):
            wanted = image(layout, text)
            layout.tag(wanted, "latest")
            assert run("skopeo", "inspect", "--raw", f"oci:{layout.path}:latest").encode() == got(layout, wanted)

    def test_umoci_lists_and_unpacks_it(self, layout: OciLayout, tmp_path: Path) -> None:
        for tag in ("1.0", "2.0"):
            layout.tag(image(layout, f"hello {tag}"), tag)
        layout.tag(image(layout, "hello 2.0"), "latest")
        image(layout, "a signature", subject=layout.resolve("1.0"))
        assert run("umoci", "ls", "--layout", layout.path).split() == ["1.0", "2.0", "latest"]
        run("umoci", "unpack", "--rootless", "--image", f"{layout.path}:2.0", tmp_path / "bundle")
        assert (tmp_path / "bundle" / "rootfs" / "greeting").read_text() == "hello 2.0"

    def test_umoci_s_garbage_collection_leaves_what_is_listed(self, layout: OciLayout) -> None:
        subject = image(layout, "first")
        layout.tag(subject, "latest")
        referrer = image(layout, "a signature", subject=subject)
        layout.tag(image(layout, "second"), "latest")
        run("umoci", "gc", "--layout", layout.path)
        assert list(layout.predecessors(subject)) == [referrer]
        for one in (subject, referrer):
            document = parse_document(*layout.fetch_named(one.digest))
            assert all(map(layout.exists, document.successors))


class TestTheirs:
    @pytest.fixture
    def theirs(self, layout: OciLayout, tmp_path: Path) -> OciLayout:
        """What skopeo made of two images and an index of ours."""
        for tag in ("1.0", "2.0"):
            layout.tag(image(layout, tag), tag)
        layout.tag(index(layout, "for amd64", "for arm64"), "all")
        for tag in layout.tags():
            run("skopeo", "copy", "--all", f"oci:{layout.path}:{tag}", f"oci:{tmp_path / 'theirs'}:{tag}")
        return OciLayout(tmp_path / "theirs")

    def test_what_skopeo_wrote_is_read(self, layout: OciLayout, theirs: OciLayout) -> None:
        assert list(theirs.tags()) == ["1.0", "2.0", "all"]
        for tag in theirs.tags():
            found, raw = theirs.fetch_named(tag)
            assert (found, raw) == layout.fetch_named(tag)
            for one in theirs.documents([found]):
                assert isinstance(one, Manifest | Index)
                assert all(got(theirs, part) == got(layout, part) for part in one.successors)

    def test_what_we_add_to_it_skopeo_reads_and_what_it_adds_we_read(self, theirs: OciLayout, tmp_path: Path) -> None:
        added = image(theirs, "added")
        theirs.tag(added, "added")
        theirs.tag(added, "2.0")
        run("skopeo", "copy", f"oci:{theirs.path}:added", f"dir:{tmp_path / 'out'}")
        run("skopeo", "copy", f"dir:{tmp_path / 'out'}", f"oci:{theirs.path}:back")
        assert list(theirs.tags()) == ["1.0", "2.0", "added", "all", "back"]
        assert theirs.resolve("back") == added
        assert theirs.resolve("all").media_type == OCI_INDEX

    def test_what_umoci_made_is_read(self, tmp_path: Path) -> None:
        layout = OciLayout(tmp_path / "theirs")
        run("umoci", "init", "--layout", layout.path)
        assert list(layout.tags()) == []
        run("umoci", "new", "--image", f"{layout.path}:empty")
        run("umoci", "tag", "--image", f"{layout.path}:empty", "again")
        (tmp_path / "file").write_text("hello")
        run("umoci", "insert", "--rootless", "--image", f"{layout.path}:again", tmp_path / "file", "/file")
        assert list(layout.tags()) == ["again", "empty"]
        document = parse_document(*layout.fetch_named("again"))
        assert isinstance(document, Manifest)
        assert b"hello" in gzip.decompress(got(layout, document.layers[0]))
        assert parse_document(*layout.fetch_named("empty")).successors
