"""What an image says never gets into an error, or a notice, as it stands: not everybody prints through our command."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from msgspec import structs

from dockless.model.digest import digest_of
from dockless.model.errors import DocklessError, NotFound
from dockless.model.events import Event, Notice
from dockless.model.platform import Platform, parse_platform
from dockless.model.printable import is_printable
from dockless.ops.image import open_image
from dockless.stores.docker_archive import DockerArchive, DockerArchiveWriter
from dockless.stores.memory import MemoryStore
from tests.faces.command import EVIL
from tests.graphs import AMD, image_for, index

PLATFORM = Platform(os=EVIL, architecture=EVIL * 100, variant=EVIL)


def saved(path: Path, config: bytes, layer: bytes) -> None:
    """Write what `docker save` would, but for its names."""
    name = f"{EVIL}.json"
    listed = json.dumps([{"Config": name, "RepoTags": ["a:1"], "Layers": ["layer"]}]).encode()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for entry, content in ((name, config), ("layer", layer), ("manifest.json", listed)):
            head = tarfile.TarInfo(entry)
            head.size = len(content)
            archive.addfile(head, io.BytesIO(content))


@pytest.mark.parametrize("config", [b"{", b"{}", b'{"rootfs":{"type":"layers","diff_ids":["sha256:00"]}}'])
def test_the_name_of_a_config(tmp_path: Path, config: bytes) -> None:
    saved(tmp_path / "x.tar", config, b"a layer")
    with DockerArchive(tmp_path / "x.tar") as archive, pytest.raises(DocklessError) as raised:
        archive.resolve("a:1")
    assert "json" in str(raised.value)
    assert is_printable(str(raised.value))


def test_the_platforms_that_there_are() -> None:
    store = MemoryStore()
    images = [image_for(store, "linux/amd64", bytes([number])) for number in range(100)]
    store.tag(index(store, *(structs.replace(one, platform=PLATFORM) for one in images)), "1")
    with pytest.raises(NotFound) as raised:
        open_image(store, "1", parse_platform("linux/s390x"))
    assert is_printable(str(raised.value))
    assert len(str(raised.value)) < 5000


def test_the_platforms_that_an_archive_does_not_name(tmp_path: Path) -> None:
    told: list[Event] = []
    with DockerArchiveWriter(tmp_path / "x.tar", told.append) as archive:
        amd, other = image_for(archive, "linux/amd64"), image_for(archive, "linux/arm64")
        archive.tag(index(archive, amd, structs.replace(other, platform=PLATFORM)), "reg.example/a:1")
    (notice,) = [one.text for one in told if isinstance(one, Notice)]
    assert is_printable(notice)
    assert AMD.os in notice
    assert digest_of(b"") not in notice
