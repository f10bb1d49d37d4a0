"""Tars read in place: what is in them, and what none should hold."""

import gzip
import io
import lzma
import os
import sys
import tarfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from dockless.model.errors import InvalidDocument, LocalFault, NotFound
from dockless.stores.tar import TarArchive
from dockless.wire.stream import pump

GNU, PAX, USTAR = tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT
Made = Callable[..., TarArchive]


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = "", **more: object) -> bytes:
    """Return one entry as `tarfile` writes it; `more` are fields of TarInfo."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, target
    for field, value in more.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


def patched(block: bytes, at: int, field: bytes) -> bytes:
    """Return an entry with another field in its first header, and the right checksum."""
    head = block[:at] + field + block[at + len(field) :]
    head = head[:148] + b" " * 8 + head[156:]
    return head[:148] + b"%06o\0 " % sum(head[:512]) + head[156:]


def records(*lines: bytes) -> bytes:
    """Return a pax header, of records that are `KEY=VALUE`."""
    content = b""
    for line in lines:
        length = len(line) + 2
        length += len(str(length + len(str(length))))
        content += b"%d %s\n" % (length, line)
    return entry("PaxHeader", content, tarfile.XHDTYPE)


@pytest.fixture(name="made")
def _made(tmp_path: Path) -> Iterable[Made]:
    opened = []

    def make(*parts: bytes) -> TarArchive:
        path = tmp_path / "made.tar"
        path.write_bytes(b"".join(parts))
        opened.append(TarArchive(path))
        return opened[-1]

    yield make
    for archive in opened:
        archive.close()


def text(archive: TarArchive, name: str) -> bytes | None:
    return archive.read(name, 1 << 20)


@pytest.mark.parametrize("form", [GNU, PAX, USTAR])
def test_files_are_found_by_name_in_every_format(tmp_path: Path, form: int) -> None:
    path = tmp_path / "a.tar"
    names = ["a", "d/b", "d" * 90 + "/" + "e" * 90, *([] if form == USTAR else ["f" * 300 + "/" + "é" * 100])]
    with tarfile.open(path, "w", format=form) as tar:
        tar.addfile(tarfile.TarInfo("empty"))
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name.encode()) * 100
            tar.addfile(info, io.BytesIO(name.encode() * 100))
    with TarArchive(path) as archive:
        assert archive.compression == ""
        assert set(archive.entries) == {"empty", *names}
        for name in names:
            assert text(archive, name) == name.encode() * 100
        assert text(archive, "empty") == b""
        assert text(archive, "d") is None


def test_content_is_read_from_any_offset_by_many_at_once(made: Made) -> None:
    content = os.urandom(3 << 20)
    archive = made(entry("a", b"before"), entry("b", content), entry("c", b"after"))
    found = archive.find("b")
    assert found is not None
    wrong = []

    def read(offset: int) -> None:
        got = bytearray()
        pump(archive.open(found, offset), got.extend)
        if got != content[offset:]:
            wrong.append(offset)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in (0, 1, 1 << 20, len(content))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_names_are_compared_in_one_form(made: Made) -> None:
    archive = made(entry("./a//b/./c", b"x"), entry("./d/", kind=tarfile.DIRTYPE))
    assert text(archive, "a/b/c") == text(archive, "./a/b//c") == b"x"
    assert archive.find("d") is None


@pytest.mark.parametrize("name", ["/etc/passwd", "../a", "a/../b", "..", "/"])
def test_names_that_leave_the_archive_mean_nothing(made: Made, name: str) -> None:
    archive = made(entry(name, b"x"), entry("good", b"y"))
    assert set(archive.entries) == {"good"}
    assert archive.find(name) is None


def test_the_last_entry_of_a_name_counts(made: Made) -> None:
    archive = made(entry("a", b"old"), entry("b", b"old"), entry("./a", b"new"), entry("b/", kind=tarfile.DIRTYPE))
    assert text(archive, "a") == b"new"
    assert text(archive, "b") is None


def test_links_lead_to_entries(made: Made) -> None:
    symlink, hardlink = tarfile.SYMTYPE, tarfile.LNKTYPE
    archive = made(
        entry("x/layer.tar", b"layer"),
        entry("y/layer.tar", kind=symlink, target="../x/layer.tar"),
        entry("z/layer.tar", kind=hardlink, target="y/layer.tar"),
        entry("top", kind=symlink, target="./x/../x/layer.tar"),
        entry("long", kind=symlink, target="x/" + "./" * 80 + "layer.tar"),
    )
    for name in ("y/layer.tar", "z/layer.tar", "top", "long"):
        assert text(archive, name) == b"layer"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "..", "none", "", "directory"])
def test_links_that_lead_out_lead_nowhere(made: Made, kind: bytes, target: str) -> None:
    archive = made(
        entry("etc/passwd", b"inside"),
        entry("directory", kind=tarfile.DIRTYPE),
        entry("d/link", kind=kind, target=target),
    )
    assert archive.find("d/link") is None


@pytest.mark.parametrize("circle", [["a"], ["b", "a"], [f"l{number}" for number in range(1000)]])
def test_links_in_a_circle_are_refused(made: Made, circle: list[str]) -> None:
    targets = zip(circle, [*circle[1:], circle[0]], strict=True)
    archive = made(*(entry(name, kind=tarfile.SYMTYPE, target=target) for name, target in targets))
    with pytest.raises(InvalidDocument, match="lead nowhere"):
        archive.find(circle[0])


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, b"V"])
def test_what_is_no_file_has_no_content(made: Made, kind: bytes) -> None:
    archive = made(entry("a", kind=kind), entry("b", b"x"))
    assert archive.find("a") is None
    assert text(archive, "b") == b"x"


def test_a_size_in_front_of_nothing_is_skipped_for_unknown_types_and_not_for_directories(
    made: Made,
) -> None:
    directory = patched(entry("d", kind=tarfile.DIRTYPE), 124, b"%011o\0" % 700)
    archive = made(entry("v", b"?" * 700, b"V"), directory, entry("b", b"x"))
    assert text(archive, "b") == b"x"
    assert archive.find("v") is None


def test_contiguous_and_nameless_types_are_files(made: Made) -> None:
    archive = made(entry("a", b"1", tarfile.CONTTYPE), entry("b", b"2", tarfile.AREGTYPE))
    assert (text(archive, "a"), text(archive, "b")) == (b"1", b"2")


def test_pax_records_override_the_header(made: Made) -> None:
    body = entry("short", b"content")
    archive = made(
        records(b"path=long/name", b"mtime=1.5", b"SCHILY.xattr.user.x=\0\n\xff", b"size=7"),
        patched(body, 124, b"%011o\0" % 0),
        entry("next", b"y"),
        records(b"path=", b"linkpath=next"),
        entry("link", kind=tarfile.SYMTYPE, target="none"),
    )
    assert text(archive, "long/name") == b"content"
    assert text(archive, "link") == text(archive, "next") == b"y"
    assert archive.find("short") is None


def test_a_global_header_with_a_comment_is_passed_over(made: Made) -> None:
    archive = made(entry("g", b"14 comment=aa\n", tarfile.XGLTYPE), entry("a", b"x"))
    assert text(archive, "a") == b"x"


def test_sizes_in_binary_are_read(made: Made) -> None:
    archive = made(patched(entry("a", b"x" * 600), 124, b"\x80" + (600).to_bytes(11, "big")), entry("b", b"y"))
    assert text(archive, "a") == b"x" * 600
    assert text(archive, "b") == b"y"


def test_checksums_of_signed_bytes_are_read(made: Made) -> None:
    raw = entry("a", b"x")
    head = b"\xe9" * 4 + raw[4:148] + b" " * 8 + raw[156:]
    total = sum(byte - 256 * (byte >> 7) for byte in head[:512])
    archive = made(head[:148] + b"%06o\0 " % total + head[156:])
    assert list(archive.entries) == ["\udce9" * 4]


HEAD = entry("a", b"content")
BROKEN = {
    "no tar": (b"this is no tar" * 100, "number in a header"),
    "a wrong checksum": (b"b" + HEAD[1:], "checksum"),
    "half a header": (HEAD + HEAD[:100], "cut short"),
    "less content than promised": (patched(HEAD, 124, b"%011o\0" % 5000), "cut short"),
    "a negative size": (patched(HEAD, 124, b"-0000000007\0"), "number in a header"),
    "a negative size in binary": (patched(HEAD, 124, b"\xff" * 12), "number in a header"),
    "an enormous size in binary": (patched(HEAD, 124, b"\x80" + b"\x7f" * 11), "cut short"),
    "a size that is no number": (patched(HEAD, 124, b"0x10\0\0\0\0\0\0\0\0"), "number in a header"),
    "a size with underscores": (patched(HEAD, 124, b"0000_000007\0"), "number in a header"),
    "an enormous size in pax": (records(b"size=9999999999999999999") + HEAD, "cut short"),
    "a negative size in pax": (records(b"size=-7") + HEAD, "pax header is none"),
    "a size without digits in pax": (records(b"size=") + HEAD, "pax header is none"),
    "a size of many digits in pax": (records(b"size=" + b"1" * 5000) + HEAD, "pax header is none"),
    "a zero byte in a name": (records(b"path=good\0/evil") + HEAD, "zero byte"),
    "a record that is too long": (entry("x", b"99 path=a\n", tarfile.XHDTYPE) + HEAD, "damaged"),
    "a record that is too short": (entry("x", b"5 path=a\n", tarfile.XHDTYPE) + HEAD, "damaged"),
    "a record without an end": (entry("x", b"9 path=ab", tarfile.XHDTYPE) + HEAD, "damaged"),
    "a record of no length": (entry("x", b"0 path=a\n", tarfile.XHDTYPE) + HEAD, "damaged"),
    "a record without an equals sign": (entry("x", b"7 path\n", tarfile.XHDTYPE) + HEAD, "damaged"),
    "a record without a number": (entry("x", b"path=a\n", tarfile.XHDTYPE) + HEAD, "pax header is none"),
    "a name for all entries": (entry("g", b"10 path=a\n", tarfile.XGLTYPE) + HEAD, "only be true of one"),
    "a sparse file of GNU": (entry("s", b"", tarfile.GNUTYPE_SPARSE), "sparse"),
    "a sparse file of pax": (records(b"GNU.sparse.major=1") + HEAD, "sparse"),
    "a long name that is too long": (entry("l", b"a" * ((1 << 20) + 1), tarfile.GNUTYPE_LONGNAME) + HEAD, "larger"),
    "endless extensions": (entry("l", b"a" * (1 << 20), tarfile.GNUTYPE_LONGNAME) * 17 + HEAD, "larger"),
    "extended headers without end": (records(b"path=a") * (1 << 16) + HEAD, "more than 1"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_it_is_refused(made: Made, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content, reason = BROKEN[what]
    if what == "extended headers without end":
        monkeypatch.setattr("dockless.stores.tar._MOST_ENTRIES", 1 << 10)  # that it takes no time
    with pytest.raises(InvalidDocument, match=reason):
        made(content)


def test_what_follows_the_end_is_not_looked_at(made: Made) -> None:
    assert set(made(entry("a", b"x"), bytes(1024), b"rubbish" * 200).entries) == {"a"}


@pytest.mark.parametrize("size", [513, 600, 1024, 1100, 1536, 2048, 10240])
def test_the_end_may_be_short(made: Made, size: int) -> None:
    assert set(made((entry("a", b"x") + bytes(10240))[:size]).entries) == {"a"}


def test_a_hundred_thousand_entries_are_read(made: Made) -> None:
    archive = made(*(patched(HEAD, 0, b"%06d" % number) for number in range(100_000)))
    assert len(archive.entries) == 100_000
    assert text(archive, "099999") == b"content"


def test_more_entries_than_any_image_has_are_refused(made: Made) -> None:
    with pytest.raises(InvalidDocument, match="more than 131072 entries"):
        made(entry("a") * ((1 << 17) + 1))


def test_a_document_that_is_too_large_is_refused(made: Made) -> None:
    with pytest.raises(InvalidDocument, match="a has 7 bytes, more than 6"):
        made(HEAD).read("a", 6)


def pack(kind: str, raw: bytes) -> bytes:
    if kind == "gzip":
        return gzip.compress(raw[:700]) + gzip.compress(raw[700:])
    return zstd.compress(raw) if kind == "zstd" else lzma.compress(raw)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "xz"])
def test_packed_archives_are_told_by_content(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it.tar"
    content = os.urandom(1 << 20)
    path.write_bytes(pack(kind, entry("a", content) + bytes(1024)))
    with TarArchive(path) as archive:
        assert archive.compression == kind
        assert archive.read("a", 1 << 20) == content
    assert [file.name for file in tmp_path.iterdir()] == ["it.tar"]


@pytest.mark.parametrize("cut", [8, 300, -1])
def test_a_packed_archive_that_is_cut_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "it.tar.gz"
    path.write_bytes(gzip.compress(os.urandom(1000))[:cut])
    with pytest.raises(InvalidDocument, match=r"it\.tar\.gz cannot be read: the content is packed with gzip"):
        TarArchive(path)


def fed(path: Path, content: bytes) -> threading.Thread:
    os.mkfifo(path)
    feeder = threading.Thread(target=path.write_bytes, args=(content,))
    feeder.start()
    return feeder


def test_an_archive_comes_through_a_pipe(tmp_path: Path) -> None:
    feeder = fed(tmp_path / "pipe", HEAD)
    with TarArchive(tmp_path / "pipe") as archive:
        assert text(archive, "a") == b"content"
    feeder.join(10)


def test_a_pipe_with_next_to_nothing_is_refused(tmp_path: Path) -> None:
    feeder = fed(tmp_path / "pipe", b"abc")
    with pytest.raises(InvalidDocument, match="cut short"):
        TarArchive(tmp_path / "pipe")
    feeder.join(10)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        TarArchive(tmp_path / "none.tar")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that can be opened and not read is Linux's")
def test_what_the_system_says_while_reading_is_a_local_fault_and_nothing_stays_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(LocalFault, match="cannot read /proc/self/mem"):
        TarArchive(Path("/proc/self/mem"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_directory_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(LocalFault, match="cannot read"):
        TarArchive(tmp_path)


def test_a_file_that_shrinks_is_an_error(made: Made) -> None:
    archive = made(entry("a", b"x" * 10_000))
    os.truncate(archive.path, 1000)
    with pytest.raises(LocalFault, match="shorter"):
        archive.read("a", 1 << 20)


def test_systems_without_pread_read_the_same(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pread")
    assert text(made(HEAD), "a") == b"content"
