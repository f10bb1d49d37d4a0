"""Tars that several threads write at once, and files that they share."""

import errno
import os
import tarfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockless.model.errors import Cancelled, Conflict, LocalFault
from dockless.model.events import Event, Notice, ignore
from dockless.net.waiting import each
from dockless.stores.shared_file import SharedFile
from dockless.stores.tar import TarArchive
from dockless.stores.tar_writer import TarWriter


def put(writer: TarWriter, name: str, content: bytes, step: int = 1000) -> bool:
    with writer.place(name, len(content)) as place:
        if place is None:
            return False
        for at in range(0, len(content), step):
            place.write(memoryview(content)[at : at + step])
    return True


def test_what_many_threads_wrote_is_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "it.tar"
    contents = {f"d{n % 3}/e/f{n}": os.urandom(n * 997) for n in range(40)}
    writer = TarWriter(path, ignore)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda name: put(writer, name, contents[name]), contents))
    assert not path.exists()
    writer.commit()
    with tarfile.open(path, "r:") as tar:
        members = tar.getmembers()
        files = {one.name: one for one in members if one.isfile()}
        assert {name: tar.extractfile(one).read() for name, one in files.items()} == contents  # type: ignore[union-attr]
        assert {one.name for one in members if one.isdir()} == {f"d{n}{end}" for n in range(3) for end in ("", "/e")}
        assert {one.mode for one in files.values()} == {0o444}
        assert {(one.mtime, one.uid, one.gid, one.uname, one.gname) for one in members} == {(0, 0, 0, "", "")}
    assert [file.name for file in tmp_path.iterdir()] == ["it.tar"]


def test_directories_come_before_what_is_in_them_and_once(tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "it.tar", ignore)
    for name in ("a/b/c", "a/d", "a/b/e", "f"):
        put(writer, name, b"x")
    writer.commit()
    with tarfile.open(tmp_path / "it.tar") as tar:
        assert tar.getnames() == ["a", "a/b", "a/b/c", "a/d", "a/b/e", "f"]


def test_the_same_makes_the_same(tmp_path: Path) -> None:
    for name in ("one.tar", "two.tar"):
        writer = TarWriter(tmp_path / name, ignore)
        put(writer, "blobs/x", b"content", 2)
        put(writer, "y", b"more")
        writer.commit()
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_long_names_and_large_sizes_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "it.tar"
    writer = TarWriter(path, ignore)
    long, size = "blobs/sha512/" + "a" * 128, 9 << 30
    with writer.place("large", size):
        pass  # a hole: no disk is needed
    put(writer, long, b"x")
    writer.commit()
    with TarArchive(path) as archive, tarfile.open(path) as tar:
        assert archive.read(long, 9) == b"x"
        assert archive.entries["large"].size == size == tar.getmember("large").size
        assert long in tar.getnames()


def test_the_place_of_a_failed_try_is_for_the_next(tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "it.tar", ignore)

    def fail() -> None:
        with writer.place("a", 5000) as place:
            assert place is not None
            place.write(memoryview(b"wrong"))
            raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            fail()
        assert writer.entries == {}
    put(writer, "b", b"y")
    assert put(writer, "a", b"x" * 5000)
    assert not put(writer, "a", b"z" * 5000)
    writer.commit()
    assert (tmp_path / "it.tar").stat().st_size == 512 + 5120 + 512 + 512 + 1024
    with TarArchive(tmp_path / "it.tar") as archive:
        assert archive.read("a", 9999) == b"x" * 5000
        assert archive.read("b", 9) == b"y"


def test_an_archive_with_an_unfilled_place_is_not_published(tmp_path: Path) -> None:
    path = tmp_path / "it.tar"
    path.write_bytes(b"before")
    writer = TarWriter(path, ignore)
    with pytest.raises(KeyError), writer.place("a", 5):
        raise KeyError
    put(writer, "a", b"of another size")
    with pytest.raises(Conflict, match="a failed"):
        writer.commit()
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["it.tar"]


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "it.tar", ignore)
    put(writer, "a", b"x")
    writer.discard()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_process_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".it.tar.partial").write_bytes(os.urandom(99_999))
    writer = TarWriter(tmp_path / "it.tar", ignore)
    put(writer, "a", b"x")
    writer.commit()
    assert (tmp_path / "it.tar").stat().st_size == 512 + 512 + 1024


def test_one_name_is_filled_by_one_at_a_time(tmp_path: Path) -> None:
    writer = TarWriter(tmp_path / "it.tar", ignore)
    entered, left = threading.Event(), threading.Event()

    def first() -> None:
        with writer.place("a", 1) as place:
            assert place is not None
            entered.set()
            assert left.wait(20)
            place.write(memoryview(b"x"))

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        assert entered.wait(20)
        other = pool.submit(put, writer, "a", b"y")
        put(writer, "b", b"is not held up")
        assert not other.done()
        left.set()
        one.result(20)
        assert other.result(20) is False
    writer.discard()


def test_a_second_writer_waits_and_can_be_stopped(tmp_path: Path) -> None:
    told: list[Event] = []
    first = TarWriter(tmp_path / "it.tar", ignore)
    try:

        def stop() -> None:
            for _ in range(200):
                if told:
                    raise KeyError
                threading.Event().wait(0.05)

        with pytest.raises((KeyError, Cancelled)):
            each([lambda: TarWriter(tmp_path / "it.tar", told.append).discard(), stop], 2)
        [notice] = told
        assert isinstance(notice, Notice)
        assert "it.tar" in notice.text
    finally:
        first.discard()
    TarWriter(tmp_path / "it.tar", ignore).discard()


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = TarWriter(tmp_path / "it.tar", ignore)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LocalFault, match=r"cannot write .*it\.tar: No space left"):
        put(writer, "a", b"x")
    writer.discard()


@pytest.mark.parametrize("path", ["", "none/it.tar"])
def test_what_cannot_be_written_is_said_at_once(tmp_path: Path, path: str) -> None:
    with pytest.raises(LocalFault, match="cannot write"):
        TarWriter(tmp_path / path, ignore)
    assert list(tmp_path.iterdir()) == []


def copied(path: Path, source: Path, size: int) -> bytes:
    with source.open("rb") as one, path.open("w+b", buffering=0) as other:
        target = SharedFile(path, other)
        target.copy(SharedFile(source, one), 7, size, 3)
        target.finish(size + 3)
    return path.read_bytes()[3:]


def refusing(*_: object) -> int:
    raise OSError(errno.EXDEV, "not here")


@pytest.mark.parametrize("kernel", [None, refusing, lambda *_: 0])
def test_bytes_are_copied_with_the_kernel_or_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kernel: Callable[..., int] | None
) -> None:
    content = os.urandom(700_000)
    (tmp_path / "source").write_bytes(content)
    if kernel:
        monkeypatch.setattr(os, "copy_file_range", kernel)
    assert copied(tmp_path / "target", tmp_path / "source", 600_000) == content[7:600_007]


def test_a_source_that_shrinks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x" * 1000)
    with pytest.raises(LocalFault, match="shorter"):
        copied(tmp_path / "target", tmp_path / "source", 2000)


@pytest.mark.parametrize("lacking", [[], ["pread", "pwrite", "copy_file_range", "posix_fadvise"]])
def test_systems_with_less_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: list[str]) -> None:
    for name in lacking:
        monkeypatch.delattr(os, name)
    (tmp_path / "source").write_bytes(b"0123456789" * 60_000)
    assert copied(tmp_path / "target", tmp_path / "source", 500_000) == (b"0123456789" * 60_000)[7:500_007]
    content = os.urandom(40 << 20)
    writer = TarWriter(tmp_path / "it.tar", ignore)
    put(writer, "a", content, 1 << 20)
    writer.commit()
    with TarArchive(tmp_path / "it.tar") as archive:
        assert archive.read("a", 1 << 30) == content
