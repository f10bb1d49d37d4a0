"""Several that add the same image at once, and what an image must be to count as here already."""

import os
import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from dockless.model.errors import ChecksumMismatch, InvalidReference, LocalFault
from dockless.model.image_id import ImageId
from dockless.stores.base import V1Image
from dockless.stores.files import arrive
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import make_image
from dockless.wire.stream import BytesReader, Reader

ONE = make_image({"a": b"1"})[0]
WHOLE = V1Image(ONE.id, ONE.raw, len(ONE.layer), ONE.checksum)
GIVEN = partial(BytesReader, ONE.layer)


def counted(opened: list[int], content: bytes = ONE.layer) -> Callable[[int], Reader]:
    def open_layer(offset: int) -> Reader:
        opened.append(offset)
        return BytesReader(content, offset)

    return open_layer


def test_many_adders_of_one_image_fetch_it_once(tmp_path: Path) -> None:
    opened: list[int] = []
    results: list[bool | None] = []

    def add() -> None:
        results.append(V1Directory(tmp_path).add(WHOLE, counted(opened)))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results, key=str) == [None] * 7 + [True]
    assert opened == [0]
    assert sorted(path.name for path in (tmp_path / ONE.id).iterdir()) == ["VERSION", "checksum", "json", "layer.tar"]


@pytest.mark.parametrize("bad", ["../../evil", "/tmp/evil", "A" * 64, ""])
def test_what_is_no_id_makes_no_directory(tmp_path: Path, bad: str) -> None:
    with pytest.raises(InvalidReference):
        V1Directory(tmp_path / "store").add(V1Image(ImageId(bad), b"{}", 1, None), GIVEN)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        V1Image(ONE.id, ONE.raw + b" ", len(ONE.layer), None),
        V1Image(ONE.id, ONE.raw, len(ONE.layer) + 1, None),
        V1Image(ONE.id, ONE.raw, len(ONE.layer), "sha256:" + "0" * 64),
    ],
    ids=["JSON", "size", "checksum"],
)
def test_another_image_of_the_same_id_is_not_here_already(tmp_path: Path, other: V1Image) -> None:
    store = V1Directory(tmp_path)
    store.add(WHOLE, GIVEN)
    opened: list[int] = []
    made_up = pytest.raises(ChecksumMismatch) if other.checksum else nullcontext()
    with made_up:
        store.add(other, counted(opened, ONE.layer.ljust(other.size or 0, b"x")))
    assert opened


def test_a_checksum_does_not_outlive_its_layer(tmp_path: Path) -> None:
    store = V1Directory(tmp_path)
    store.add(WHOLE, GIVEN)
    other = ONE.layer + b"more"
    store.add(V1Image(ONE.id, ONE.raw, len(other), None), partial(BytesReader, other))
    assert store.image(ONE.id).checksum is None
    assert store.image(ONE.id).size == len(other)


@pytest.mark.parametrize("content", [b"\xff", b"sha256:zz", b"sha256:" + b"0" * 64 + b"\r\nX-Evil: 1", b""])
def test_a_checksum_file_that_holds_none_is_none(tmp_path: Path, content: bytes) -> None:
    store = V1Directory(tmp_path)
    store.add(WHOLE, GIVEN)
    (tmp_path / ONE.id / "checksum").write_bytes(content)
    assert store.image(ONE.id).checksum is None


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no FIFOs here")

    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(LocalFault, match="no regular file"):
        arrive(fifo, WHOLE.promise(), GIVEN, lambda _: None)
    assert fifo.is_fifo()
