"""Tars: what `tarfile` writes is found, and whatever else comes is read or refused in one way."""

import io
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.errors import InvalidDocument
from dockless.stores.shared_file import SharedFile
from dockless.stores.tar import Entry, TarArchive, normal, scan

thoroughly = settings(deadline=None, max_examples=200)

parts = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=140)
names = st.lists(parts, min_size=1, max_size=4).map("/".join)
kinds = st.sampled_from([b"0", b"1", b"2", b"3", b"5", b"6", b"7"])
targets = st.sampled_from(["a", "b", "c", "../a", "x/../b", "/a"])
entries = st.lists(st.tuples(names, kinds, st.binary(max_size=1500), names), max_size=8)
formats = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@contextmanager
def opened(raw: bytes) -> Iterator[SharedFile]:
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        yield SharedFile(Path("made.tar"), file)


def made(listed: list[tuple[str, bytes, bytes, str]], form: int) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as tar:
        for name, kind, content, target in listed:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


@given(entries, formats)
@thoroughly
def test_the_scanner_finds_what_tarfile_finds(listed: list[tuple[str, bytes, bytes, str]], form: int) -> None:
    raw = made(listed, form)
    wanted = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for one in tar:
            kind = "symlink" if one.issym() else "hardlink" if one.islnk() else "file" if one.isreg() else "other"
            wanted[normal(one.name)] = (
                one.offset_data,
                one.size,
                kind,
                one.linkname if one.issym() or one.islnk() else "",
            )
    wanted.pop("", None)
    with opened(raw) as file:
        found = {name: (one.offset, one.size, one.kind, one.target) for name, one in scan(file).items()}
    assert found == wanted


@given(st.binary(max_size=3000) | st.binary(min_size=512, max_size=512).map(lambda block: block * 3))
@thoroughly
def test_anything_is_read_or_refused(raw: bytes) -> None:
    inside(raw)


@given(entries, formats, st.data())
@thoroughly
def test_a_damaged_archive_is_read_or_refused(
    listed: list[tuple[str, bytes, bytes, str]], form: int, data: st.DataObject
) -> None:
    raw = bytearray(made(listed, form))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 512)) // 512 * 512
        field = data.draw(st.sampled_from([0, 100, 124, 130, 135, 156, 157, 257, 345]))
        raw[at + field : at + field + 2] = data.draw(st.binary(min_size=2, max_size=2))
        if data.draw(st.booleans()):
            raw[at + 148 : at + 156] = b" " * 8
            raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    inside(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


def inside(raw: bytes) -> None:
    """Every entry lies in the file, if the archive can be read at all."""
    try:
        with opened(raw) as file:
            found = scan(file)
    except InvalidDocument:
        return
    for one in found.values():
        assert isinstance(one, Entry)
        assert 0 <= one.offset <= one.offset + one.size <= len(raw)


@given(st.lists(st.tuples(st.sampled_from("abc"), targets), max_size=6))
@thoroughly
def test_links_end_somewhere_or_are_refused(links: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "it.tar")
        path.write_bytes(made([("a", b"0", b"x", ""), *((name, b"2", b"", target) for name, target in links)], 1))
        with TarArchive(path) as archive:
            try:
                found = archive.find("a")
            except InvalidDocument:
                return
            assert found is None or found.kind == "file"
