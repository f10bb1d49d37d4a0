"""A copy that fails: whose fault it is, what stays, and that it ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dockless.model.descriptor import Descriptor
from dockless.model.errors import (
    Cancelled,
    ChecksumMismatch,
    CopyFault,
    DocklessError,
    InvalidDocument,
    NetworkFault,
    NotFound,
    RemoteFault,
    SizeMismatch,
    Unauthorized,
)
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.net.waiting import pause
from dockless.ops import contents
from dockless.ops.copy import CopyOptions, copy
from dockless.ops.sides import at
from dockless.stores.base import Readable
from dockless.testing.contract import CONTENT, LAYER, image, put
from dockless.wire.stream import Source
from tests.graphs import document, image_for, index
from tests.watched import FailsAt, Mounting, Watched, wait_for_threads

UNKNOWN = RemoteFault("PUT manifest: HTTP 400", status=400)
UNKNOWN.codes = ("MANIFEST_BLOB_UNKNOWN",)


def failed(source: Watched, destination: Watched, **options: bool) -> CopyFault:
    """Copy, and return how it failed; nothing is tagged and no reader is open."""
    with pytest.raises(CopyFault) as caught:
        copy(source, "1.0", destination, options=CopyOptions(**options))  # type: ignore[arg-type]
    assert list(destination.store.tags()) == []
    wait_for_threads()
    assert source.still_open == 0
    return caught.value


def one_image() -> tuple[Watched, Watched, Descriptor]:
    source = Watched()
    root = image(source.store)
    source.store.tag(root, "1.0")
    return source, Watched(), root


class TestSides:
    def test_what_the_source_does_not_have_is_its_fault(self) -> None:
        source, destination, _ = one_image()
        source.store._contents.pop(LAYER.digest)
        fault = failed(source, destination)
        assert (fault.side, fault.descriptor) == ("source", LAYER)
        assert isinstance(fault.__cause__, NotFound)

    def test_a_corrupted_blob_is_the_sources_fault_though_the_destination_finds_it(self) -> None:
        source, destination, _ = one_image()
        source.store._contents[LAYER.digest] = CONTENT[::-1]
        fault = failed(source, destination)
        assert (fault.side, fault.descriptor, fault.exit_code) == ("source", LAYER, 5)
        assert isinstance(fault.__cause__, ChecksumMismatch)
        assert not destination.store.exists(LAYER)

    def test_so_are_a_manifest_that_is_corrupted_and_one_that_cannot_be_read(self) -> None:
        for raw, kind in ((b"{" + b" " * 100, ChecksumMismatch), (b"no manifest", InvalidDocument)):
            source, destination = Watched(), Watched()
            root = put(source.store, b"no manifest", OCI_MANIFEST)
            source.store._contents[root.digest] = raw[: root.size]
            source.store.tag(root, "1.0")
            fault = failed(source, destination)
            assert fault.side == "source"
            assert isinstance(fault.__cause__, kind)
            assert destination.asked("push") == []

    def test_a_source_that_breaks_off_is_at_fault_whatever_the_destination_makes_of_it(self) -> None:
        class Puzzled(Watched):
            def push(self, expected: Descriptor, source: Source) -> None:
                try:
                    super().push(expected, source)
                except NetworkFault:
                    raise RemoteFault("the body ended early", status=400) from None

        source, _, _ = one_image()
        source.meddle = FailsAt(3, NetworkFault("cut", hint="wait"), "read", about=LAYER.digest)
        fault = failed(source, Puzzled())
        assert source.meddle.has_failed
        assert (fault.side, str(fault), fault.hint, fault.exit_code) == ("source", "source: cut", "wait", 6)

    def test_a_source_that_was_healed_is_not_at_fault(self) -> None:
        class Stubborn(Watched):
            def push(self, expected: Descriptor, source: Source) -> None:
                try:
                    super().push(expected, source)
                except NetworkFault:
                    super().push(expected, source)
                    raise RemoteFault("no more room", status=507) from None

        source, _, _ = one_image()
        source.meddle = FailsAt(3, NetworkFault("cut"), "read", about=LAYER.digest)
        assert failed(source, Stubborn()).side == "destination"
        assert source.meddle.has_failed

    @pytest.mark.parametrize("call", ["resolve", "exists", "push", "mount", "tag"])
    def test_what_the_destination_raises_is_its_fault(self, call: str) -> None:
        source, _, root = one_image()
        destination = Mounting(meddle=FailsAt(1, Unauthorized("who are you?", status=401), call))
        fault = failed(source, destination)
        assert (fault.side, fault.status, fault.exit_code) == ("destination", 401, 4)
        assert fault.descriptor == root or call not in {"exists", "tag"}

    @pytest.mark.parametrize("call", ["resolve", "fetch", "read", "predecessors"])
    def test_what_the_source_raises_is_its_fault(self, call: str) -> None:
        source, destination, _ = one_image()
        source.meddle = FailsAt(1, Unauthorized("who are you?"), call)
        assert failed(source, destination, referrers=True).side == "source"

    def test_two_sizes_of_one_blob_are_the_sources_fault(self) -> None:
        source, destination = Watched(), Watched()
        config, layer = put(source.store, b"{}", OCI_CONFIG), put(source.store, b"layer")
        wrong = Descriptor(OCI_LAYER, layer.digest, layer.size + 1)
        source.store.tag(document(source.store, OCI_MANIFEST, config=config, layers=[layer, wrong]), "1.0")
        fault = failed(source, destination)
        assert (fault.side, type(fault.__cause__)) == ("source", SizeMismatch)

    def test_what_was_stopped_is_nobodys_fault(self) -> None:
        with pytest.raises(Cancelled), at("source"):
            raise Cancelled("stopped")


class TestFirstFailure:
    def test_it_stops_the_others_and_is_what_is_raised(self) -> None:
        source, destination = Watched(), Watched()
        layers = [bytes([number]) * 1000 for number in range(8)]
        root = image_for(source.store, "linux/amd64", *layers)
        source.store.tag(root, "1.0")
        bad = put(source.store, layers[5])
        source.store._contents[bad.digest] = bytes(1000)
        stopped = []

        def stall(call: str, what: str) -> None:
            if call == "read" and what not in {bad.digest, root.digest}:
                try:
                    pause(60)
                except DocklessError:
                    stopped.append(what)
                    raise

        source.meddle = stall
        started = time.monotonic()
        fault = failed(source, destination)
        assert time.monotonic() - started < 10
        assert fault.descriptor == bad
        assert stopped

    def test_a_body_that_moves_on_is_stopped_too(self) -> None:
        source, destination = Watched(), Watched()
        layers = [bytes([number]) * 1000 for number in range(4)]
        root = image_for(source.store, "linux/amd64", *layers)
        source.store.tag(root, "1.0")
        bad, *others = (put(source.store, layer).digest for layer in layers)
        reads: list[str] = []

        def slow(call: str, what: str) -> None:
            if call == "read" and what in others:
                reads.append(what)
                time.sleep(0.3)
            elif call == "read" and what == bad:
                time.sleep(0.1)
                raise NetworkFault("cut")

        source.meddle = slow
        assert failed(source, destination).descriptor == put(source.store, layers[0])
        assert len(reads) <= 2 * len(others)
        assert not {what for _, what in destination.done} & {bad, *others}

    def test_what_is_complete_stays_and_the_next_try_takes_it_from_there(self) -> None:
        source, destination, root = one_image()
        destination.meddle = FailsAt(3, NetworkFault("gone"), "push")
        assert failed(source, destination).side == "destination"
        source.calls.clear()
        copied = copy(source, "1.0", destination)
        assert (copied.present, copied.manifests) == (2, 1)
        assert source.asked("fetch") == [root.digest]

    def test_an_observer_that_fails_stops_the_copy(self) -> None:
        source, destination, _ = one_image()

        def observe(event: object) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            copy(source, "1.0", destination, observe=observe)
        wait_for_threads()
        assert source.still_open == 0


class Replicas(Watched):
    """A registry of two servers: one says what is there, the other, which lacks `lost`, takes manifests."""

    def __init__(self, lost: set[str], error: DocklessError = UNKNOWN) -> None:
        super().__init__()
        self.lost = lost
        self.error = error
        self.children: dict[str, set[str]] = {}

    def push(self, expected: Descriptor, source: Source) -> None:
        self.begin("push", expected.digest)
        self.store.push(expected, source)
        if self.children.get(expected.digest, set()) & self.lost:
            self.store.delete(expected)
            raise self.error
        self.lost.discard(expected.digest)
        self.end("push", expected.digest)


class TestUnknownBlob:
    def test_what_is_said_to_be_there_and_then_is_not_is_sent_once_and_the_manifest_again(self) -> None:
        source, _, root = one_image()
        destination = Replicas({LAYER.digest})
        destination.children = {root.digest: {LAYER.digest}}
        put(destination.store, CONTENT)
        copied = copy(source, "1.0", destination)
        assert destination.store.resolve("1.0") == root
        assert destination.asked("push").count(LAYER.digest) == 1
        assert destination.asked("push").count(root.digest) == 2
        assert destination.asked("exists").count(LAYER.digest) == 1
        assert (copied.present, copied.manifests) == (1, 1)

    def test_a_manifest_below_it_is_followed_then(self) -> None:
        source, _, _ = one_image()
        below = image(source.store, b"another layer")
        root = index(source.store, below)
        source.store.tag(root, "1.0")
        destination = Replicas({below.digest})
        destination.children = {root.digest: {below.digest}}
        destination.store.push(below, lambda offset: source.store.fetch(below, offset))
        copied = copy(source, "1.0", destination)
        assert (copied.manifests, copied.blobs, copied.present) == (1, 2, 1)
        assert destination.asked("push").count(below.digest) == 1

    def test_what_is_said_to_be_mounted_and_is_not_is_sent(self) -> None:
        class Boasting(Replicas):
            def mount(self, wanted: Descriptor, source: Readable) -> bool:
                self.begin("mount", wanted.digest)
                return True

        source, _, root = one_image()
        destination = Boasting({LAYER.digest})
        destination.children = {root.digest: {LAYER.digest}}
        copied = copy(source, "1.0", destination)
        assert (copied.mounted, copied.blobs, copied.manifests) == (0, 2, 1)
        assert destination.asked("mount").count(LAYER.digest) == 1

    def test_once_only(self) -> None:
        source, _, root = one_image()
        destination = Replicas({"what never comes"})
        destination.children = {root.digest: destination.lost}
        fault = failed(source, destination)
        assert (fault.side, fault.status) == ("destination", 400)
        assert destination.asked("push").count(root.digest) == 2

    @pytest.mark.parametrize(
        "error", [RemoteFault("HTTP 400 - blob unknown", status=400), NetworkFault("unknown host")]
    )
    def test_any_other_refusal_is_one(self, error: DocklessError) -> None:
        source, _, root = one_image()
        destination = Replicas({"what never comes"}, error)
        destination.children = {root.digest: destination.lost}
        assert failed(source, destination).__cause__ is error
        assert destination.asked("push").count(root.digest) == 1

    def test_what_the_source_does_not_know_any_more_is_not_sent_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contents, "_MOST_KEPT", 0)
        source, destination, root = one_image()
        source.meddle = FailsAt(2, UNKNOWN, "fetch", about=root.digest)
        assert failed(source, destination).side == "source"
        assert destination.asked("push").count(root.digest) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")
def test_an_interrupt_ends_it_and_leaves_only_complete_content() -> None:
    source, destination, _ = one_image()
    stalled = threading.Event()

    def stall(call: str, what: str) -> None:
        if call == "read" and what == LAYER.digest:
            if not stalled.is_set():
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            stalled.set()
            pause(60)

    source.meddle = stall
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        copy(source, "1.0", destination)
    assert stalled.is_set()
    assert time.monotonic() - started < 1.2
    wait_for_threads()
    assert source.still_open == 0
    assert not destination.store.exists(LAYER)
    assert list(destination.store.tags()) == []


STALLED_COPY = """
import time
from dockless.ops.copy import copy
from dockless.ops.sides import at
from dockless.stores.base import Readable
from dockless.testing.contract import LAYER, image
from tests.watched import Watched

def stall(call, what):
    if call == "read" and what == LAYER.digest:
        print("stalled", flush=True)
        time.sleep(60)  # as in the kernel: nothing stops it

source = Watched()
source.store.tag(image(source.store), "1.0")
source.meddle = stall
copy(source, "1.0", Watched())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a console event there reaches the tests, too")
def test_a_process_ends_within_a_second_though_a_read_hangs() -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", STALLED_COPY], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "stalled\n"
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(40) in {-signal.SIGINT, 130}
        assert time.monotonic() - started < 1
        assert "KeyboardInterrupt" in process.stderr.read()
