"""Files arrive whole or not at all, and one process writes at a time: the others here are real ones."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

import pytest

from dockless.model.errors import ChecksumMismatch, LocalFault, NetworkFault, NotFound, SizeMismatch, VerificationFailed
from dockless.model.events import BlobFinished, BlobStarted, Event, Notice, Retrying, ignore
from dockless.stores import files
from dockless.stores.base import V1Image
from dockless.stores.files import FileReader, arrive, exclusive, write_whole
from dockless.wire.stream import BytesReader, pump
from tests.scripted import one_layer

MADE = one_layer(100_000)
IMAGE = V1Image(MADE.id, MADE.raw, len(MADE.layer), MADE.checksum)
PARTIAL = f".layer.{MADE.id[:16]}.partial"


class Source:
    """Opens one content after the other, the last of them for ever; keeps the offsets and what is still open."""

    def __init__(self, *contents: bytes, cut_at: int | None = None) -> None:
        self.offsets: list[int] = []
        self.still_open = 0
        self._contents = list(contents or [MADE.layer])
        self._cut_at = cut_at

    def __call__(self, offset: int) -> "Reading":
        self.offsets.append(offset)
        self.still_open += 1
        content = self._contents.pop(0) if len(self._contents) > 1 else self._contents[0]
        return Reading(self, content[offset : self._cut_at], cut=self._cut_at is not None)


class Reading(BytesReader):
    def __init__(self, source: Source, content: bytes, *, cut: bool) -> None:
        super().__init__(content)
        self._source = source
        self._cut = cut

    def read_chunk(self) -> memoryview:
        chunk = super().read_chunk()
        if not chunk and self._cut:
            raise NetworkFault("cut")
        return chunk

    def close(self) -> None:
        self._source.still_open -= 1


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class TestArrive:
    def test_a_layer_is_there_under_its_name_alone(self, tmp_path: Path) -> None:
        assert arrive(tmp_path / "layer", IMAGE.promise(), Source(), ignore) is True
        assert (tmp_path / "layer").read_bytes() == MADE.layer
        assert left_in(tmp_path) == ["layer"]

    @pytest.mark.parametrize(("size", "checksum"), [(len(MADE.layer), None), (None, None), (None, MADE.checksum)])
    def test_it_is_verified_when_there_is_a_checksum(
        self, tmp_path: Path, size: int | None, checksum: str | None
    ) -> None:
        image = V1Image(MADE.id, MADE.raw, size, checksum)
        assert arrive(tmp_path / "layer", image.promise(), Source(), ignore) is (checksum is not None)
        assert (tmp_path / "layer").read_bytes() == MADE.layer

    def test_its_beginning_and_its_end_are_told(self, tmp_path: Path) -> None:
        events: list[Event] = []
        arrive(tmp_path / "layer", IMAGE.promise(), Source(), events.append)
        assert events[0] == BlobStarted(MADE.id, len(MADE.layer), 0)
        assert events[-1] == BlobFinished(MADE.id, len(MADE.layer), verified=True)

    @pytest.mark.parametrize("had", [1, 50_000, len(MADE.layer) - 1, len(MADE.layer)])
    def test_a_partial_file_is_picked_up(self, tmp_path: Path, had: int) -> None:
        (tmp_path / PARTIAL).write_bytes(MADE.layer[:had])
        source, events = Source(), list[Event]()
        assert arrive(tmp_path / "layer", IMAGE.promise(), source, events.append) is True
        assert source.offsets == [had]
        assert events[0] == BlobStarted(MADE.id, len(MADE.layer), had)
        assert (tmp_path / "layer").read_bytes() == MADE.layer
        assert left_in(tmp_path) == ["layer"]

    @pytest.mark.parametrize("had", [b"other bytes", MADE.layer + b"more"], ids=["other bytes", "too many"])
    def test_a_partial_file_of_something_else_is_begun_anew(self, tmp_path: Path, had: bytes) -> None:
        (tmp_path / PARTIAL).write_bytes(had)
        source, events = Source(), list[Event]()
        assert arrive(tmp_path / "layer", IMAGE.promise(), source, events.append) is True
        assert source.offsets[-1] == 0
        assert [type(event) for event in events].count(Retrying) == 1
        assert (tmp_path / "layer").read_bytes() == MADE.layer

    def test_the_partial_file_of_another_image_is_left_alone(self, tmp_path: Path) -> None:
        other = ".layer.0123456789abcdef.partial"
        (tmp_path / other).write_bytes(b"other")
        arrive(tmp_path / "layer", IMAGE.promise(), Source(), ignore)
        assert left_in(tmp_path) == [other, "layer"]

    def test_what_came_before_a_cut_is_kept_and_gone_on_from(self, tmp_path: Path) -> None:
        with pytest.raises(NetworkFault):
            arrive(tmp_path / "layer", IMAGE.promise(), Source(cut_at=60_000), ignore)
        assert left_in(tmp_path) == [PARTIAL]
        source = Source()
        arrive(tmp_path / "layer", IMAGE.promise(), source, ignore)
        assert source.offsets == [60_000]
        assert (tmp_path / "layer").read_bytes() == MADE.layer

    @pytest.mark.parametrize(
        ("content", "error"),
        [
            (MADE.layer[:-1], SizeMismatch),
            (MADE.layer + b"x", SizeMismatch),
            (b"", SizeMismatch),
            (MADE.layer[:-1] + b"\0", ChecksumMismatch),
        ],
        ids=["too short", "too long", "nothing", "another sum"],
    )
    def test_a_mismatch_leaves_nothing(self, tmp_path: Path, content: bytes, error: type[VerificationFailed]) -> None:
        source = Source(content)
        with pytest.raises(error):
            arrive(tmp_path / "layer", IMAGE.promise(), source, ignore)
        assert source.offsets == [0, 0]  # once more, from the start
        assert left_in(tmp_path) == []

    def test_a_mismatch_leaves_the_old_file_as_it_was(self, tmp_path: Path) -> None:
        (tmp_path / "layer").write_bytes(b"old")
        with pytest.raises(VerificationFailed):
            arrive(tmp_path / "layer", IMAGE.promise(), Source(bytes(100_000)), ignore)
        assert (tmp_path / "layer").read_bytes() == b"old"

    def test_a_mismatch_that_happens_once_costs_another_try(self, tmp_path: Path) -> None:
        source, events = Source(bytes(100_000), MADE.layer), list[Event]()
        assert arrive(tmp_path / "layer", IMAGE.promise(), source, events.append) is True
        assert source.offsets == [0, 0]
        assert [type(event) for event in events].count(Retrying) == 1
        assert (tmp_path / "layer").read_bytes() == MADE.layer

    @pytest.mark.parametrize(
        "source", [Source(), Source(bytes(100_000)), Source(b""), Source(cut_at=10)], ids=["fine", "sum", "size", "cut"]
    )
    def test_every_reader_is_closed(self, tmp_path: Path, source: Source) -> None:
        with suppress(NetworkFault, VerificationFailed):
            arrive(tmp_path / "layer", IMAGE.promise(), source, ignore)
        assert source.offsets
        assert source.still_open == 0

    def test_a_directory_in_its_place_is_a_local_fault_and_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "layer").mkdir()
        with pytest.raises(LocalFault, match="layer"):
            arrive(tmp_path / "layer", IMAGE.promise(), Source(), ignore)
        assert left_in(tmp_path) == ["layer"]

    def test_a_name_that_the_system_refuses_is_a_local_fault(self, tmp_path: Path) -> None:
        with pytest.raises(LocalFault, match="too long"):
            arrive(tmp_path / ("x" * 300), IMAGE.promise(), Source(), ignore)

    def test_a_directory_that_is_not_there_is_a_local_fault(self, tmp_path: Path) -> None:
        source = Source()
        with pytest.raises(LocalFault, match="No such file"):
            arrive(tmp_path / "nowhere" / "layer", IMAGE.promise(), source, ignore)
        assert source.offsets == []


HOLDER = """
import sys
from pathlib import Path
from dockless.model.events import ignore
from dockless.stores.files import exclusive
path = Path(sys.argv[1])
with exclusive(path, ignore) as file:
    file.write(b"first")
    print("held", flush=True)
    sys.stdin.readline()
    file.write(b"last")
    if len(sys.argv) > 2:
        path.rename(sys.argv[2])
"""


@contextmanager
def held_elsewhere(path: Path, *then: Path) -> Iterator["subprocess.Popen[str]"]:
    """Let another process hold `path` until it is told to let go; it renames the file before if `then` is given."""
    command = [sys.executable, "-c", HOLDER, str(path), *map(str, then)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


class Waiter:
    """A thread that wants the file: what was in it when it got it."""

    def __init__(self, path: Path) -> None:
        self.events: list[Event] = []
        self.found: bytes | None = None
        self._path = path
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()
        until = time.monotonic() + 20
        while not self.events:
            assert time.monotonic() < until
            time.sleep(0.01)

    def _wait(self) -> None:
        with exclusive(self._path, self.events.append) as file:
            file.seek(0)
            self.found = file.read()

    def got(self, within: float) -> bool:
        self._thread.join(within)
        return not self._thread.is_alive()


class TestExclusive:
    def test_a_file_is_made_when_there_is_none(self, tmp_path: Path) -> None:
        with exclusive(tmp_path / "file", ignore) as file:
            file.write(b"x")
        assert (tmp_path / "file").read_bytes() == b"x"

    def test_what_is_in_it_stays(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"old")
        with exclusive(tmp_path / "file", ignore) as file:
            file.seek(0)
            assert file.read() == b"old"

    def test_one_held_by_another_process_is_waited_for(self, tmp_path: Path) -> None:
        with held_elsewhere(tmp_path / "file") as holder:
            waiter = Waiter(tmp_path / "file")
            assert not waiter.got(within=0.5)
            holder.communicate("go\n", timeout=20)
            assert waiter.got(within=20)
        assert waiter.found == b"firstlast"

    def test_that_it_waits_is_told_once(self, tmp_path: Path) -> None:
        with held_elsewhere(tmp_path / "file") as holder:
            waiter = Waiter(tmp_path / "file")
            assert not waiter.got(within=0.7)  # several looks
            holder.communicate("go\n", timeout=20)
            assert waiter.got(within=20)
        assert waiter.events == [Notice("file is being written elsewhere: waiting")]

    def test_one_that_was_renamed_meanwhile_is_not_mistaken_for_the_new_one(self, tmp_path: Path) -> None:
        with held_elsewhere(tmp_path / "file", tmp_path / "final") as holder:
            waiter = Waiter(tmp_path / "file")
            holder.communicate("go\n", timeout=20)
            assert waiter.got(within=20)
        assert waiter.found == b""
        assert (tmp_path / "final").read_bytes() == b"firstlast"

    @pytest.mark.parametrize("another", [False, True], ids=["no file", "another file"])
    def test_one_that_is_renamed_between_open_and_lock_is_not_either(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another: bool
    ) -> None:
        path = tmp_path / "file"
        with held_elsewhere(path, tmp_path / "final") as holder:
            lock = files._locked

            def locked(file: FileIO) -> bool:
                if holder.poll() is None:
                    holder.communicate("go\n", timeout=20)
                    if another:
                        path.write_bytes(b"another")
                return lock(file)

            monkeypatch.setattr(files, "_locked", locked)
            with exclusive(path, ignore) as file:
                file.seek(0)
                assert file.read() == (b"another" if another else b"")
        assert (tmp_path / "final").read_bytes() == b"firstlast"

    def test_one_whose_holder_was_killed_is_free(self, tmp_path: Path) -> None:
        with held_elsewhere(tmp_path / "file") as holder:
            waiter = Waiter(tmp_path / "file")
            holder.kill()
            assert waiter.got(within=20)
        assert waiter.found == b"first"

    def test_after_an_error_it_is_free(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "file", ignore):
            raise ZeroDivisionError
        events: list[Event] = []
        with exclusive(tmp_path / "file", events.append):
            pass
        assert events == []

    def test_a_layer_waits_and_goes_on_where_the_killed_process_stopped(self, tmp_path: Path) -> None:
        (tmp_path / PARTIAL).write_bytes(MADE.layer[:1000])
        with held_elsewhere(tmp_path / PARTIAL) as holder:
            threading.Timer(0.8, holder.kill).start()  # by then it was told that one waits
            source, events = Source(), list[Event]()
            assert arrive(tmp_path / "layer", IMAGE.promise(), source, events.append) is True
        assert isinstance(events[0], Notice)
        assert source.offsets == [1005, 0]  # "first" is not of this layer
        assert (tmp_path / "layer").read_bytes() == MADE.layer

    def test_who_is_done_soon_is_not_told_of(self, tmp_path: Path) -> None:
        events: list[Event] = []
        with held_elsewhere(tmp_path / "file") as holder:
            threading.Timer(0.05, holder.kill).start()
            with exclusive(tmp_path / "file", events.append):
                assert holder.wait(20) != 0
        assert events == []

    def test_what_a_link_points_at_is_not_written_to(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_bytes(b"kept")
        for name in ("file", ".file.new", PARTIAL):
            (tmp_path / name).symlink_to("precious")
        with pytest.raises(OSError, match="symbolic link"), exclusive(tmp_path / "file", ignore):
            pass
        with pytest.raises(LocalFault, match="symbolic link"):
            write_whole(tmp_path / "file", b"new")
        with pytest.raises(LocalFault, match="symbolic link"):
            arrive(tmp_path / "layer", IMAGE.promise(), Source(), ignore)
        assert (tmp_path / "precious").read_bytes() == b"kept"


class TestFileReader:
    @pytest.mark.parametrize("offset", [0, 1, 300_000, 600_000])
    def test_a_file_is_read_from_any_offset(self, tmp_path: Path, offset: int) -> None:
        content = os.urandom(600_000)
        (tmp_path / "file").write_bytes(content)
        reader = FileReader(tmp_path / "file", offset)
        read = bytearray()
        pump(reader, read.extend)
        reader.close()
        assert read == content[offset:]
        assert reader.size == len(content)

    @pytest.mark.parametrize("path", ["nothing", "file/below"])
    def test_what_is_not_there_is_not_found(self, tmp_path: Path, path: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NotFound, match=f"no file {tmp_path / path}"):
            FileReader(tmp_path / path)

    @pytest.mark.skipif(os.name == "nt", reason="no FIFOs there")
    @pytest.mark.parametrize(
        ("kind", "words"), [("link", "symbolic link"), ("fifo", "no regular file"), ("directory", "directory")]
    )
    def test_what_is_no_regular_file_is_refused_at_once(self, tmp_path: Path, kind: str, words: str) -> None:
        (tmp_path / "file").write_bytes(b"x")
        (tmp_path / "link").symlink_to("file")
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "directory").mkdir()
        with pytest.raises(LocalFault, match=f"cannot read .*{words}"):
            FileReader(tmp_path / kind)

    def test_what_the_system_says_while_reading_is_a_local_fault(self) -> None:
        memory = Path("/proc/self/mem")  # nothing is mapped at its beginning
        if not memory.exists():
            pytest.skip("no /proc here")
        reader = FileReader(memory)
        with pytest.raises(LocalFault, match="cannot read /proc/self/mem"):
            reader.read_chunk()
        reader.close()


class TestWriteWhole:
    def test_it_replaces_the_file(self, tmp_path: Path) -> None:
        for content in (b"one", b"another"):
            write_whole(tmp_path / "file", content)
            assert (tmp_path / "file").read_bytes() == content
        assert left_in(tmp_path) == ["file"]

    def test_nobody_ever_sees_half_of_it(self, tmp_path: Path) -> None:
        contents = [bytes([number]) * 1_000_000 for number in range(2)]
        write_whole(tmp_path / "file", contents[0])
        done = threading.Event()
        seen: set[bytes] = set()

        def look() -> None:
            while not done.is_set():
                seen.add((tmp_path / "file").read_bytes())

        looking = threading.Thread(target=look)
        looking.start()
        for number in range(30):
            write_whole(tmp_path / "file", contents[number % 2])
        done.set()
        looking.join(20)
        assert seen <= set(contents)
        assert seen

    def test_what_a_killed_process_left_is_in_nobodys_way(self, tmp_path: Path) -> None:
        (tmp_path / ".file.new").write_bytes(b"a longer text than the new one")
        write_whole(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"
        assert left_in(tmp_path) == ["file"]

    def test_where_it_cannot_the_old_file_stays(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"old")
        (tmp_path / ".file.new").mkdir()
        with pytest.raises(LocalFault, match=f"cannot write {tmp_path / 'file'}"):
            write_whole(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"old"

    @pytest.mark.skipif(os.name == "nt", reason="directories are not flushed there")
    def test_content_and_name_are_flushed_to_the_disk_in_this_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flushed: list[tuple[str, list[str]]] = []

        def fsync(descriptor: int) -> None:
            flushed.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, left_in(tmp_path)))

        if not Path("/proc/self/fd").is_dir():
            pytest.skip("no /proc here")
        monkeypatch.setattr(os, "fsync", fsync)
        write_whole(tmp_path / "file", b"x")
        assert flushed == [(".file.new", [".file.new"]), (tmp_path.name, ["file"])]
