"""Files whose names say what they hold: they come once, whoever wants them, and stay as they are."""

import hashlib
import os
import queue
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.errors import Cancelled, ChecksumMismatch, LocalFault, NetworkFault
from dockless.model.events import BlobFinished, BlobStarted, Event, ignore
from dockless.net.waiting import begin
from dockless.stores import files
from dockless.stores.files import FileReader, ingest, keep, regular_size, sweep
from dockless.wire.stream import BytesReader, Reader, pump
from tests.stores.test_files import Source, left_in

CONTENT = b"some content " * 10_000
BLOB = describe(CONTENT, "x/y")
HEX = BLOB.digest[7:]
PARTIAL = f".{HEX}.partial"


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file grow over 50 kB."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def kept(root: Path, source: Source | None = None, observe: list[Event] | None = None) -> Path:
    path = root / "blobs" / HEX
    keep(path, root, BLOB, source or Source(CONTENT), ignore if observe is None else observe.append)
    return path


class TestKeep:
    def test_a_blob_comes_once_and_is_read_only(self, tmp_path: Path) -> None:
        source, events = Source(CONTENT), list[Event]()
        for _ in range(2):
            path = kept(tmp_path, source, events)
        assert path.read_bytes() == CONTENT
        assert not stat.S_IMODE(path.stat().st_mode) & 0o222
        assert left_in(tmp_path) == ["blobs"]
        assert source.offsets == [0]
        assert events[0] == BlobStarted(BLOB.digest, BLOB.size, 0)
        assert events[-2:] == [BlobFinished(BLOB.digest, BLOB.size, True), BlobFinished(BLOB.digest, BLOB.size, None)]

    def test_one_that_is_there_needs_no_place_to_write(self, tmp_path: Path) -> None:
        kept(tmp_path)
        (tmp_path / PARTIAL).mkdir()
        kept(tmp_path)

    def test_what_only_the_owner_may_read_stays_so(self, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            assert stat.S_IMODE(kept(tmp_path).stat().st_mode) == 0o400
        finally:
            os.umask(before)

    @pytest.mark.parametrize("had", [b"", b"too short", CONTENT + b"!"])
    def test_a_file_of_another_size_is_replaced(self, tmp_path: Path, had: bytes) -> None:
        path = kept(tmp_path)
        path.unlink()
        path.write_bytes(had)
        assert kept(tmp_path).read_bytes() == CONTENT

    def test_a_link_in_its_place_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_bytes(CONTENT)
        (tmp_path / "blobs").mkdir()
        (tmp_path / "blobs" / HEX).symlink_to("../other")
        path = kept(tmp_path)
        assert not path.is_symlink()
        assert path.read_bytes() == CONTENT

    def test_a_directory_in_its_place_is_a_local_fault(self, tmp_path: Path) -> None:
        (tmp_path / "blobs" / HEX).mkdir(parents=True)
        with pytest.raises(LocalFault, match="irectory"):
            kept(tmp_path)

    def test_what_a_cut_left_is_gone_on_from(self, tmp_path: Path) -> None:
        with pytest.raises(NetworkFault):
            kept(tmp_path, Source(CONTENT, cut_at=60_000))
        assert left_in(tmp_path) == [PARTIAL]
        source = Source(CONTENT)
        assert kept(tmp_path, source).read_bytes() == CONTENT
        assert source.offsets == [60_000]
        assert left_in(tmp_path) == ["blobs"]

    def test_wrong_content_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ChecksumMismatch):
            kept(tmp_path, Source(CONTENT[::-1]))
        assert left_in(tmp_path) == []

    def test_a_full_disk_leaves_nothing(self, tmp_path: Path) -> None:
        with no_room(), pytest.raises(LocalFault, match=f"cannot write .*{HEX}: File too large"):
            kept(tmp_path)
        assert left_in(tmp_path) == []

    def test_what_is_written_early_is_no_different(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "_WINDOW", 1000)
        assert kept(tmp_path).read_bytes() == CONTENT

    def test_many_who_want_it_fetch_it_once(self, tmp_path: Path) -> None:
        source = Source(CONTENT)
        with ThreadPoolExecutor(8) as pool:
            for done in [pool.submit(kept, tmp_path, source) for _ in range(8)]:
                assert done.result(60).read_bytes() == CONTENT
        assert source.offsets == [0]
        assert left_in(tmp_path) == ["blobs"]

    def test_several_processes_fetch_it_once(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", PUSHER, str(tmp_path)]
        crowd = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        said = ""
        for one in crowd:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in crowd:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        for one in crowd:
            said += one.communicate(timeout=30)[0]
            assert one.returncode == 0
        assert said == "opened\n"
        assert left_in(tmp_path) == ["blobs"]


PUSHER = """
import sys, time
from pathlib import Path
from dockless.model.descriptor import Descriptor, describe
from dockless.model.events import ignore
from dockless.net.waiting import begin
from dockless.stores import files
from dockless.stores.files import keep
from dockless.wire.stream import BytesReader

def source(offset):
    print("opened", flush=True)
    time.sleep(0.1)
    return BytesReader(b"content", offset)

root, blob = Path(sys.argv[1]), describe(b"content", "x/y")
print("ready", flush=True)
sys.stdin.readline()
keep(root / "blobs" / "one", root, blob, source, ignore)
assert (root / "blobs" / "one").read_bytes() == b"content"
"""


class TestIngest:
    def ingested(self, root: Path, reader: Reader) -> tuple[Digest, int]:
        return ingest(root, reader, lambda digest: root / "blobs" / digest[7:])

    def test_a_blob_is_named_when_it_has_come(self, tmp_path: Path) -> None:
        for _ in range(2):
            assert self.ingested(tmp_path, BytesReader(CONTENT)) == (BLOB.digest, BLOB.size)
            assert (tmp_path / "blobs" / HEX).read_bytes() == CONTENT
            assert left_in(tmp_path) == ["blobs"]
        assert not stat.S_IMODE((tmp_path / "blobs" / HEX).stat().st_mode) & 0o222

    def test_what_the_reader_raises_leaves_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(NetworkFault):
            self.ingested(tmp_path, Source(CONTENT, cut_at=100)(0))
        assert left_in(tmp_path) == []

    def test_a_full_disk_leaves_nothing(self, tmp_path: Path) -> None:
        with no_room(), pytest.raises(LocalFault, match="File too large"):
            self.ingested(tmp_path, BytesReader(CONTENT))
        assert left_in(tmp_path) == []

    def test_it_is_not_swept_up_while_it_comes(self, tmp_path: Path) -> None:
        class Sweeping(BytesReader):
            def read_chunk(self) -> memoryview:
                sweep(tmp_path)
                assert any(name.startswith(".ingest-") for name in left_in(tmp_path))
                return super().read_chunk()

        self.ingested(tmp_path, Sweeping(CONTENT))
        assert hashlib.sha256((tmp_path / "blobs" / HEX).read_bytes()).hexdigest() == HEX


class TestSweep:
    def test_what_nobody_goes_on_with_is_removed_and_nothing_else(self, tmp_path: Path) -> None:
        old = f".{'b' * 64}.partial"
        gone = [".ingest-0123456789abcdef.partial", old]
        stay = [f".{'a' * 64}.partial", ".notes.partial", ".index.json.lock", "index.json", ".ingest-0.partial"]
        for name in (*gone, *stay):
            (tmp_path / name).write_bytes(b"x")
        for name in (old, ".notes.partial"):
            os.utime(tmp_path / name, (1e9, 1e9))
        (tmp_path / ".ingest-0.partial").unlink()
        (tmp_path / ".ingest-0.partial").mkdir()
        sweep(tmp_path)
        assert left_in(tmp_path) == sorted(stay)


@pytest.mark.skipif(sys.platform != "linux", reason="files of a terabyte take no room on Linux")
@pytest.mark.parametrize("act", ["read", "go on"])
def test_a_stopped_task_ends_in_the_middle_of_a_large_file(tmp_path: Path, act: str) -> None:
    path = tmp_path / PARTIAL
    path.touch()
    os.truncate(path, 1 << 40)
    wanted = Descriptor("x/y", BLOB.digest, 1 << 41)

    def call() -> None:
        if act == "read":
            reader = FileReader(path)
            with closing(reader):
                pump(reader)
        else:
            keep(tmp_path / HEX, tmp_path, wanted, Source(), ignore)

    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    stop = begin(call, lambda _, error: ended.put(error))
    time.sleep(0.1)
    stop()
    assert isinstance(ended.get(timeout=20), Cancelled)


def test_only_a_regular_file_has_a_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    sizes = [regular_size(tmp_path / name) for name in ("file", "link", ".", "nothing", "file/below")]
    assert sizes == [3, None, None, None, None]
