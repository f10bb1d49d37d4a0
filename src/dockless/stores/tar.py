"""Tar archives read in place: a scanner of headers, and content by name from any thread.

Formats are those of v7, ustar, pax (POSIX.1-2017, pax, "pax Interchange Format") and GNU tar (long names, large sizes).

Rules:
* The scanner only ever goes forward, and every size is checked against the file before it is believed: what is damaged,
  cut short, negative or ambiguous is an InvalidDocument. Headers are bounded in number and in bytes.
* A name that comes twice means its last entry, as for whoever unpacks the archive. `./a//b` is `a/b`; names that are
  absolute or hold `..` mean nothing.
* A link leads to an entry of the archive or nowhere; the file system is never looked at. Links in a circle are refused.
* Whatever the archive is packed with, its content tells; then it is unpacked into a file without a name.
* Zero bytes end an archive, and what follows them is not looked at. One that ends with an entry is complete, too.
"""

import posixpath
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Literal, Self

import msgspec

from dockless.model.errors import InvalidDocument, LocalFault, NotFound
from dockless.model.printable import printable
from dockless.net.waiting import check
from dockless.stores.files import local_faults
from dockless.stores.shared_file import SharedFile
from dockless.wire.stream import Reader, pump
from dockless.wire.unpack import Unpacker

BLOCK = 512  # bytes

_CHUNK = 256 << 10  # bytes read at once of a content
_WINDOW = 16 << 10  # bytes read at once where headers are
_MOST_ENTRIES = 1 << 17
_MOST_EXTENSIONS = 16 << 20  # bytes of pax records and long names, in all
_LONGEST_EXTENSION = 1 << 20  # bytes
_MOST_LINKS = 32

_OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*")
_DECIMAL = re.compile(rb"[0-9]{1,19}")
_ZEROS = bytes(BLOCK)
_FILES = frozenset(b"0\0" + b"7")
_LINKS = {ord("1"): "hardlink", ord("2"): "symlink"}
_EMPTY = frozenset(b"123456")  # entries of these types have no content, whatever their size says


class Entry(msgspec.Struct, frozen=True):
    """Where the content of an entry lies, in bytes; of a link, what it points at."""

    offset: int
    size: int
    kind: Literal["file", "hardlink", "symlink", "other"] = "file"
    target: str = ""


class EntryReader:
    """The content of an entry from `offset` on, as a Reader."""

    def __init__(self, file: SharedFile, entry: Entry, offset: int = 0) -> None:
        self._file = file
        self._at = entry.offset + offset
        self._end = entry.offset + entry.size

    def read_chunk(self) -> memoryview:
        """Return the next bytes. Raises LocalFault."""
        chunk = self._file.read(min(_CHUNK, self._end - self._at), self._at) if self._at < self._end else b""
        if not chunk and self._at < self._end:
            raise LocalFault(f"cannot read {self._file.path}: it became shorter meanwhile")
        self._at += len(chunk)
        return memoryview(chunk)

    def close(self) -> None:
        """The archive closes the file."""


class TarArchive:
    """An archive open for reading, packed or not. Safe to share between threads.

    `compression` is what it was packed with: `gzip`, `zstd`, `bzip2`, `xz` or empty.
    """

    def __init__(self, path: Path) -> None:
        """Open the archive and read its headers. Raises NotFound, LocalFault, InvalidDocument."""
        self.path = path
        self.file, self.compression = _opened(path)
        try:
            self.entries = scan(self.file)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def find(self, name: str) -> Entry | None:
        """Return the entry of a file, at the end of whatever links lead to it. Raises InvalidDocument."""
        place = normal(name)
        for _ in range(_MOST_LINKS):
            entry = self.entries.get(place)
            if entry is None or entry.kind == "other":
                return None
            if entry.kind == "file":
                return entry
            base = posixpath.dirname(place) if entry.kind == "symlink" else ""
            place = normal(posixpath.normpath(posixpath.join(base, entry.target)))
        raise self.broken(f"the links of {printable(name, 160)} lead nowhere")

    def open(self, entry: Entry, offset: int = 0) -> Reader:
        """Return the content of an entry from `offset` (bytes) on."""
        return EntryReader(self.file, entry, offset)

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the content of a small file, None when there is none. Raises InvalidDocument, LocalFault."""
        entry = self.find(name)
        if entry is None:
            return None
        if entry.size > limit:
            raise self.broken(f"{printable(name, 160)} has {entry.size} bytes, more than {limit}")
        content = bytearray()
        pump(self.open(entry), content.extend)
        return bytes(content)

    def broken(self, reason: str) -> InvalidDocument:
        """Return the error that says what is wrong with the archive."""
        return _broken(self.path, reason)


def normal(name: str) -> str:
    """Return a name in the form that entries are kept under; empty for one that means nothing."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    return "" if name.startswith("/") or ".." in parts else "/".join(parts)


def scan(file: SharedFile) -> dict[str, Entry]:
    """Return the files and links of an archive by their normal names. Raises InvalidDocument, LocalFault."""
    found: dict[str, Entry] = {}
    for name, entry in _Scanner(file).entries():
        if place := normal(name):
            found[place] = entry
    return found


class _Scanner:
    """Goes through the headers once."""

    def __init__(self, file: SharedFile) -> None:
        self._file = file
        self._end = file.size
        self._at = 0  # bytes; where the next header is
        self._start = 0  # where in the file the window begins
        self._window = b""
        self._room = _MOST_EXTENSIONS

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Yield names as they stand, and entries."""
        extended: dict[str, bytes] = {}  # what is said of the next entry
        for _ in range(_MOST_ENTRIES):
            block = self._block()
            if not block:
                return
            kind = block[156]
            if kind in b"xgLK":
                extended |= self._extensions(chr(kind), self._skip(self._number(block[124:136])))
                continue
            size = self._decimal(extended["size"]) if "size" in extended else self._number(block[124:136])
            if kind == ord("S"):
                raise self._broken("it holds a sparse file")
            name = _text(extended.get("path") or _name(block))
            entry = self._entry(kind, name, size, extended.get("linkpath") or _cut(block[157:257]))
            extended = {}
            yield name, entry
        raise self._broken(f"it has more than {_MOST_ENTRIES} entries")

    def _entry(self, kind: int, name: str, size: int, target: bytes) -> Entry:
        place = self._skip(0 if kind in _EMPTY else size)
        if kind in _LINKS:
            return Entry(*place, "hardlink" if kind == ord("1") else "symlink", _text(target))
        return Entry(*place, "file" if kind in _FILES and not name.endswith("/") else "other")

    def _block(self) -> bytes:
        """Return the next header, nothing at the end."""
        at = self._at - self._start
        if not 0 <= at <= len(self._window) - BLOCK:
            check()
            self._start, at = self._at, 0
            self._window = self._file.read(_WINDOW, self._at)
        block = self._window[at : at + BLOCK]
        if _ZEROS.startswith(block):
            return b""
        if len(block) < BLOCK:
            raise self._broken("it is cut short")
        counted = block[:148] + b" " * 8 + block[156:]
        off = sum(counted) - self._octal(block[148:156])
        if off and off != 256 * sum(byte >> 7 for byte in counted):  # some old tars add up signed bytes
            raise self._broken("the checksum of a header is wrong")
        self._at += BLOCK
        return block

    def _skip(self, size: int) -> tuple[int, int]:
        """Go behind a content of `size` bytes; return where it begins, and the size."""
        begin = self._at
        if size > self._end - begin:
            raise self._broken("it is cut short")
        self._at += size + -size % BLOCK
        return begin, size

    def _extensions(self, kind: str, place: tuple[int, int]) -> dict[str, bytes]:
        """Return what an extended header says of the next entry."""
        begin, size = place
        self._room -= size
        if size > _LONGEST_EXTENSION or self._room < 0:
            raise self._broken("its headers are larger than any need to be")
        content = self._file.read(size, begin)
        if kind in "LK":
            return {"path" if kind == "L" else "linkpath": _cut(content)}
        records = {key: value for key, value in self._records(content) if key in {"path", "linkpath", "size"}}
        if records and kind == "g":
            raise self._broken("it says of all entries what can only be true of one")
        if any(b"\0" in value for value in records.values()):
            raise self._broken("a name in it holds a zero byte")
        return records

    def _records(self, content: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield the records of a pax header, `LENGTH KEY=VALUE` and a newline each."""
        at = 0
        while at < len(content):
            digits = content[at : at + 20].partition(b" ")[0]
            length = self._decimal(digits)
            record = content[at : at + length]
            key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
            if len(record) != length or not equals or record[-1:] != b"\n":
                raise self._broken("a pax header is damaged")
            if key.startswith(b"GNU.sparse."):
                raise self._broken("it holds a sparse file")
            yield _text(key), value
            at += length

    def _number(self, field: bytes) -> int:
        """Read a size: octal digits, or binary after the byte 0x80 (GNU tar)."""
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else self._octal(field)

    def _octal(self, field: bytes) -> int:
        found = _OCTAL.fullmatch(field)
        if found is None:
            raise self._broken("a number in a header is none")
        return int(found[1] or b"0", 8)

    def _decimal(self, field: bytes) -> int:
        if not _DECIMAL.fullmatch(field):
            raise self._broken("a number in a pax header is none")
        return int(field)

    def _broken(self, reason: str) -> InvalidDocument:
        return _broken(self._file.path, f"{reason}, at byte {self._at}")


def _broken(path: Path, reason: str) -> InvalidDocument:
    return InvalidDocument(f"{path} cannot be read: {reason}", hint="It is damaged, or no image archive.")


def _name(block: bytes) -> bytes:
    prefix = _cut(block[345:500]) if block[257:263] == b"ustar\0" else b""
    name = _cut(block[:100])
    return prefix + b"/" + name if prefix else name


def _cut(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def compression(head: bytes) -> str:
    """Return what a content is packed with, told by its first bytes; nothing when it is not."""
    unpacker = Unpacker()
    with suppress(InvalidDocument):
        next(unpacker.feed(memoryview(head)), None)
    return unpacker.compression


def _opened(path: Path) -> tuple[SharedFile, str]:
    """Open an archive, unpacked where it is packed; return it, and what it was packed with."""
    with ExitStack() as stack:
        with local_faults(path, "read"):
            if not path.exists():
                raise NotFound(f"there is no file {path}", hint="Is the path right?")
            is_pipe = not path.is_file()
            file = stack.enter_context(path.open("rb", buffering=0))
        shared = SharedFile(path, file)
        if is_pipe or compression(shared.read(BLOCK, 0)):
            return _unpacked(path, file)
        stack.pop_all()
        return shared, ""


def _unpacked(path: Path, packed: IO[bytes]) -> tuple[SharedFile, str]:
    unpacker = Unpacker()
    with ExitStack() as stack, local_faults(Path(tempfile.gettempdir())):
        spool = stack.enter_context(tempfile.TemporaryFile())
        try:
            for chunk in _chunks(path, packed):
                for piece in unpacker.feed(chunk):
                    spool.write(piece)
            for piece in unpacker.finish():
                spool.write(piece)
        except InvalidDocument as fault:
            raise _broken(path, str(fault)) from fault
        spool.flush()
        stack.pop_all()
    return SharedFile(path, spool), unpacker.compression


def _chunks(path: Path, file: IO[bytes]) -> Iterator[memoryview]:
    with local_faults(path, "read"):
        while chunk := file.read(_CHUNK):
            check()
            yield memoryview(chunk)
