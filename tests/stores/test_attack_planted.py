"""What someone else planted in a directory before us: links, pipes and the like where our files go."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dockless.model.descriptor import Descriptor
from dockless.model.errors import DocklessError, LocalFault
from dockless.stores.oci_archive import OciArchiveWriter
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import LayoutRoot
from dockless.testing.contract import put
from tests.graphs import image_for

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need a right there, and there are no named pipes")

Plant = Callable[[Path, Path], None]
PLANTS: dict[str, Plant] = {
    "link": lambda path, target: path.symlink_to(target),
    "dangling": lambda path, target: path.symlink_to(target.with_name("new")),
    "pipe": lambda path, _: os.mkfifo(path),
    "directory": lambda path, _: path.mkdir(),
}


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", [".x.tar.partial", ".x.tar.lock"])
def test_an_archive_is_not_written_through_what_lies_in_its_way(tmp_path: Path, name: str, plant: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    shared = tmp_path / "shared"
    shared.mkdir()
    PLANTS[plant](shared / name, victim)
    with pytest.raises(LocalFault), OciArchiveWriter(shared / "x.tar") as archive:
        image_for(archive, "linux/amd64")
    assert victim.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shared", "victim"]
    assert not (shared / "x.tar").exists()


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", ["oci-layout", "index.json", ".index.json.lock", ".index.json.new", ".oci-layout.new"])
def test_a_layout_is_not_written_through_what_lies_in_its_way(tmp_path: Path, name: str, plant: str) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    layout = OciLayout(tmp_path / "layout")
    layout.path.mkdir()
    PLANTS[plant](layout.path / name, victim)
    with suppress(DocklessError):  # our own file may simply take its place
        layout.tag(image_for(layout, "linux/amd64"), "1")
    assert victim.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layout", "victim"]


@pytest.mark.parametrize("linked", ["blobs", "blobs/sha256"])
def test_a_layout_whose_directories_are_links_reaches_nothing_else(tmp_path: Path, linked: str) -> None:
    private, layout = OciLayout(tmp_path / "private"), OciLayout(tmp_path / "layout")
    secret = put(private, b"what only its owner may read")
    put(layout, b"something")
    place = layout.path / linked
    place.rename(tmp_path / "before")
    place.symlink_to(private.path / linked)
    ways: list[Callable[[Descriptor], object]] = [layout.exists, layout.path_of, layout.fetch, layout.delete]
    ways.append(lambda _: put(layout, b"something else"))
    for way in ways:
        with pytest.raises(LocalFault, match="symbolic link"):
            way(secret)
    assert private.exists(secret)
    assert len(list((private.path / "blobs/sha256").iterdir())) == 1


@pytest.mark.parametrize("linked", ["blobs", "blobs/sha256"])
def test_a_repository_whose_directories_are_links_serves_nothing_else(tmp_path: Path, linked: str) -> None:
    private = OciLayout(tmp_path / "private")
    secret = put(private, b"what only its owner may read")
    root = LayoutRoot(tmp_path / "root")
    put(OciLayout(root.root / "a"), b"something")
    place = root.root / "a" / linked
    place.rename(tmp_path / "before")
    place.symlink_to(private.path / linked)
    with pytest.raises(LocalFault, match="symbolic link"):
        root.open("a").find_blob(secret.digest)
