"""Layers arrive right or not at all: every fault happens for real, and what is left behind is looked at."""

import hashlib
import io
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dockless import v1
from dockless.model.errors import ChecksumMismatch, LocalFault, NetworkFault, RemoteFault, SizeMismatch
from dockless.model.events import BlobFinished, BlobStarted, Notice, Retrying
from dockless.testing.images import MadeImage, make_image
from dockless.testing.peer import Peer, Received, Reply, redirect
from tests.scripted import NAME, QUICK, asked, endpoint, index, layer, layer_path, one_layer

SIZE = 3_000_000
IMAGE = one_layer(SIZE)
WHOLE = Reply(body=IMAGE.layer, ranges=True)
MOST_TWICE = 1 << 20


class Registry:
    """A peer that is index and endpoint, and an image opened at it."""

    def __init__(self, *images: MadeImage, endpoints: int = 1, checksums: bool = True) -> None:
        self.peers = [Peer() for _ in range(endpoints)]
        index(self.peers[0], *(peer.host for peer in self.peers))
        for peer in self.peers:
            endpoint(peer, *images, checksums=checksums)
        self.events: list[object] = []
        self.image = v1.get_image(NAME, self.peers[0].url, settings=QUICK, observe=self.events.append)

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self.image.close()
        for peer in self.peers:
            peer.close()

    @property
    def peer(self) -> Peer:
        return self.peers[0]


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class TestDownload:
    def test_a_whole_layer(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            done = registry.image.download(IMAGE.id, tmp_path / "layer")
            assert done == v1.Downloaded(tmp_path / "layer", SIZE, verified=True)
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert left_in(tmp_path) == ["layer"]
            assert asked(registry.peer, layer_path(IMAGE)) == [None]

    def test_without_a_checksum_it_is_said_to_be_unverified(self, tmp_path: Path) -> None:
        with Registry(IMAGE, checksums=False) as registry:
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified is False
            assert BlobFinished(IMAGE.id, SIZE, verified=False) in registry.events

    @pytest.mark.parametrize("chunked", [False, True])
    def test_with_neither_size_nor_checksum_a_cut_is_healed_all_the_same(self, tmp_path: Path, chunked: bool) -> None:
        with Registry(IMAGE) as registry:
            registry.peer.on(f"/v1/images/{IMAGE.id}/json", Reply(body=IMAGE.raw))
            layer(registry.peer, IMAGE, replace(WHOLE, cut_after=1_000_000, chunked=chunked), WHOLE)
            done = registry.image.download(IMAGE.id, tmp_path / "layer")
            assert done == v1.Downloaded(tmp_path / "layer", SIZE, verified=False)
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert "cut after 1000000" in registry.peer.faults

    @pytest.mark.parametrize("size", [0, 1, 2, 3])
    def test_tiny_layers(self, tmp_path: Path, size: int) -> None:
        tiny = one_layer(size)
        with Registry(tiny) as registry:
            assert registry.image.download(tiny.id, tmp_path / "layer").size == size
            assert (tmp_path / "layer").read_bytes() == tiny.layer

    def test_416_without_a_range_is_the_empty_layer(self, tmp_path: Path) -> None:
        empty = one_layer(0)
        with Registry(empty) as registry:
            layer(registry.peer, empty, Reply(416))
            assert registry.image.download(empty.id, tmp_path / "layer").verified
            assert (tmp_path / "layer").read_bytes() == b""

    def test_416_for_a_layer_that_has_bytes_is_an_error(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, Reply(416))
            with pytest.raises(RemoteFault, match="416"):
                registry.image.download(IMAGE.id, tmp_path / "layer")
            assert not (tmp_path / "layer").exists()

    def test_an_old_file_is_replaced_only_by_a_good_one(self, tmp_path: Path) -> None:
        (tmp_path / "layer").write_bytes(b"old")
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, Reply(500))
            with pytest.raises(RemoteFault):
                registry.image.download(IMAGE.id, tmp_path / "layer")
            assert (tmp_path / "layer").read_bytes() == b"old"

    def test_a_directory_that_is_not_there_is_a_clear_error(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry, pytest.raises(LocalFault, match="nowhere"):
            registry.image.download(IMAGE.id, tmp_path / "nowhere" / "layer")

    def test_a_directory_in_the_way_is_a_clear_error(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            for directory in (tmp_path, Path()):
                with pytest.raises(LocalFault, match="it is a directory"):
                    registry.image.download(IMAGE.id, directory)
            assert left_in(tmp_path) == []

    @pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE there")
    def test_a_full_disk_leaves_nothing(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            code = (
                "import resource, signal, sys; from dockless import v1; from dockless.model.errors import LocalFault\n"
                "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
                "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
                "try: v1.get_image(sys.argv[1], sys.argv[2]).download(sys.argv[3], sys.argv[4])\n"
                "except LocalFault as fault: print(fault)\n"
            )
            arguments = [NAME, registry.peer.url, IMAGE.id, str(tmp_path / "layer")]
            command = [sys.executable, "-c", code, *arguments]
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
            assert f"cannot write {tmp_path / 'layer'}: File too large" in said.stdout, said.stderr
            assert left_in(tmp_path) == []


class TestResume:
    @pytest.mark.parametrize("reset", [False, True])
    def test_after_a_cut_it_goes_on_by_range(self, tmp_path: Path, *, reset: bool) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, replace(WHOLE, cut_after=2_000_000, reset=reset), WHOLE)
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert f"{'reset' if reset else 'cut'} after 2000000" in registry.peer.faults
            first, second = asked(registry.peer, layer_path(IMAGE))
            assert first is None
            assert second is not None
            start, _, end = second.removeprefix("bytes=").partition("-")
            assert int(end) == SIZE - 1  # closed: after an open range the original announces a byte too many
            assert 2_000_000 - MOST_TWICE <= int(start) <= 2_000_000
            assert any(isinstance(event, Retrying) for event in registry.events)

    def test_a_short_end_that_looks_whole_is_a_cut(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            short = Reply(body=IMAGE.layer[:1_000_000], content_length="absent")
            layer(registry.peer, IMAGE, short, WHOLE)
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert asked(registry.peer, layer_path(IMAGE)) == [None, f"bytes=1000000-{SIZE - 1}"]

    def test_a_stall_ends_in_a_timeout_and_goes_on(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, replace(WHOLE, stall_after=1_000_000), WHOLE)
            started = time.monotonic()
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert "stall after 1000000" in registry.peer.faults
            assert time.monotonic() - started < QUICK.idle_timeout + 2

    def test_many_cuts_with_progress_each_time(self, tmp_path: Path) -> None:
        cuts = 3 * QUICK.retry.attempts
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, *[replace(WHOLE, cut_after=200_000)] * cuts, WHOLE)
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert registry.peer.faults.count("cut after 200000") == cuts

    def test_cuts_without_progress_end(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, replace(WHOLE, cut_after=100))
            with pytest.raises(NetworkFault):
                registry.image.download(IMAGE.id, tmp_path / "layer")
            assert registry.peer.faults.count("cut after 100") <= 2 * QUICK.retry.attempts
            assert not (tmp_path / "layer").exists()

    def test_it_goes_on_at_the_next_endpoint(self, tmp_path: Path) -> None:
        with Registry(IMAGE, endpoints=2) as registry:
            one, other = registry.peers
            layer(one, IMAGE, replace(WHOLE, cut_after=1_500_000))
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert "cut after 1500000" in one.faults
            assert len(asked(other, layer_path(IMAGE))) == 1
            assert asked(other, layer_path(IMAGE))[0] is not None

    def test_one_byte_is_never_asked_for_alone(self, tmp_path: Path) -> None:
        def original(request: Received) -> Reply:
            wanted = request.header("Range")
            if wanted is None:
                return replace(WHOLE, cut_after=SIZE - 1)
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            return Reply(416) if first == last else WHOLE

        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, original)
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert f"cut after {SIZE - 1}" in registry.peer.faults
            assert asked(registry.peer, layer_path(IMAGE)) == [None, f"bytes={SIZE - 2}-{SIZE - 1}"]

    def test_a_content_range_without_the_word_bytes_is_understood(self, tmp_path: Path) -> None:
        def original(request: Received) -> Reply:
            if request.header("Range") is None:
                return replace(WHOLE, cut_after=1_000_000)
            part = IMAGE.layer[1_000_000:]
            return Reply(206, part, (("Content-Range", f"1000000-{SIZE - 1}/{SIZE}"),))

        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, original)
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert asked(registry.peer, layer_path(IMAGE)) == [None, f"bytes=1000000-{SIZE - 1}"]

    @pytest.mark.parametrize(
        "wrong",
        [
            Reply(206, IMAGE.layer[5:], (("Content-Range", f"bytes 5-{SIZE - 1}/{SIZE}"),)),
            Reply(206, IMAGE.layer[1_000_000:]),
            Reply(206, IMAGE.layer[1_000_000:], (("Content-Range", "bytes junk"),)),
            Reply(200, IMAGE.layer),
            Reply(416),
            Reply(404),
        ],
        ids=["another start", "no Content-Range", "junk", "200", "416", "404 of a mirror that has not stored it"],
    )
    def test_without_a_usable_range_the_whole_is_read_and_skipped(self, tmp_path: Path, wrong: Reply) -> None:
        def bad_at_ranges(request: Received) -> Reply:
            return wrong if request.header("Range") else Reply(body=IMAGE.layer)

        with Registry(IMAGE, checksums=False) as registry:
            layer(registry.peer, IMAGE, replace(WHOLE, cut_after=1_000_000), bad_at_ranges)
            registry.image.download(IMAGE.id, tmp_path / "layer")
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer  # nothing appended from a wrong place
            assert "cut after 1000000" in registry.peer.faults

    def test_a_206_shorter_than_asked_is_taken_and_gone_on_from(self, tmp_path: Path) -> None:
        def stingy(request: Received) -> Reply:
            wanted = request.header("Range")
            if wanted is None:
                return replace(WHOLE, cut_after=1_000_000)
            first = int(wanted.removeprefix("bytes=").partition("-")[0])
            last = min(first + 699_999, SIZE - 1)
            return Reply(206, IMAGE.layer[first : last + 1], (("Content-Range", f"bytes {first}-{last}/{SIZE}"),))

        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, stingy)
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert len(asked(registry.peer, layer_path(IMAGE))) == 4

    def test_the_next_process_picks_the_partial_file_up(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, replace(WHOLE, stall_after=2_000_000), WHOLE)
            code = "import sys; from dockless import v1; v1.get_image(*sys.argv[1:3]).download(*sys.argv[3:5])"
            arguments = [NAME, registry.peer.url, IMAGE.id, str(tmp_path / "layer")]
            with subprocess.Popen([sys.executable, "-c", code, *arguments]) as killed:
                wait_until(lambda: "stall after 2000000" in registry.peer.faults)
                wait_until(lambda: sum(path.stat().st_size for path in tmp_path.iterdir()) >= 1_000_000)
                killed.kill()
            (partial,) = tmp_path.iterdir()
            had = partial.stat().st_size
            assert partial.name == f".layer.{IMAGE.id[:16]}.partial"
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert left_in(tmp_path) == ["layer"]
            assert asked(registry.peer, layer_path(IMAGE)) == [None, f"bytes={had}-{SIZE - 1}"]
            assert BlobStarted(IMAGE.id, SIZE, had) in registry.events

    @pytest.mark.parametrize("left", [b"wrong" * 1000, IMAGE.layer + b"and more"], ids=["other bytes", "too many"])
    def test_a_partial_file_of_something_else_costs_one_fresh_start(self, tmp_path: Path, left: bytes) -> None:
        (tmp_path / f".layer.{IMAGE.id[:16]}.partial").write_bytes(left)
        with Registry(IMAGE) as registry:
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert left_in(tmp_path) == ["layer"]

    def test_two_processes_fetch_it_once(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, replace(WHOLE, stall_after=500_000), WHOLE)
            done: list[v1.Downloaded] = []
            threads = [
                threading.Thread(target=lambda: done.append(registry.image.download(IMAGE.id, tmp_path / "layer")))
                for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert [one.verified for one in done] == [True, True]
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert any(isinstance(event, Notice) and "waiting" in event.text for event in registry.events)


class TestVerification:
    @pytest.mark.parametrize(
        "damaged",
        [
            IMAGE.layer[:1000] + b"\0" + IMAGE.layer[1001:],
            IMAGE.layer[:1_000_000] * 3,
        ],
        ids=["a flipped byte", "a repeated chunk"],
    )
    def test_damage_is_found_and_nothing_is_left(self, tmp_path: Path, damaged: bytes) -> None:
        assert len(damaged) == SIZE
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, Reply(body=damaged))
            with pytest.raises(ChecksumMismatch, match="not what its checksum promises") as caught:
                registry.image.download(IMAGE.id, tmp_path / "layer")
            assert caught.value.exit_code == 5
            assert left_in(tmp_path) == []
            assert len(asked(registry.peer, layer_path(IMAGE))) == 2  # one fresh start

    def test_damage_at_one_endpoint_is_healed_by_the_other(self, tmp_path: Path) -> None:
        with Registry(IMAGE, endpoints=2) as registry:
            layer(registry.peers[0], IMAGE, Reply(body=bytes(SIZE)))
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert len(asked(registry.peers[1], layer_path(IMAGE))) == 1

    @pytest.mark.parametrize("announced", [SIZE + 10, SIZE - 10])
    def test_a_lying_length_is_forgiven_when_the_checksum_agrees(self, tmp_path: Path, announced: int) -> None:
        with Registry(IMAGE) as registry:
            lie = Reply(body=IMAGE.layer, content_length=announced, close=True)
            layer(registry.peer, IMAGE, lie, WHOLE)
            assert registry.image.download(IMAGE.id, tmp_path / "layer").verified
            assert (tmp_path / "layer").read_bytes() == IMAGE.layer
            assert f"announced {announced} for {SIZE}" in registry.peer.faults

    def test_a_lying_length_without_a_checksum_is_refused(self, tmp_path: Path) -> None:
        with Registry(IMAGE, checksums=False) as registry:
            layer(registry.peer, IMAGE, Reply(body=IMAGE.layer + b"more"))
            with pytest.raises(SizeMismatch, match=f"{SIZE + 4} bytes of a layer of {SIZE}"):
                registry.image.download(IMAGE.id, tmp_path / "layer")
            assert not (tmp_path / "layer").exists()

    def test_a_layer_that_never_ends_is_stopped_at_its_size(self, tmp_path: Path) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, Reply(body=b"x" * 1000, endless=True))
            with pytest.raises(ChecksumMismatch):
                registry.image.download(IMAGE.id, tmp_path / "layer")
            assert "endless" in registry.peer.faults
            assert left_in(tmp_path) == []

    def test_a_size_beyond_reason_allocates_nothing(self, tmp_path: Path) -> None:
        with Registry(IMAGE, checksums=False) as registry:
            huge = ("X-Docker-Size", str(1 << 49))
            registry.peer.on(f"/v1/images/{IMAGE.id}/json", Reply(body=IMAGE.raw, headers=(huge,)))
            with pytest.raises(SizeMismatch):
                registry.image.download(IMAGE.id, tmp_path / "layer")


class TestLayerReader:
    def test_it_is_a_binary_file(self) -> None:
        with Registry(IMAGE) as registry:
            with registry.image.layer_reader(IMAGE.id) as reader:
                assert isinstance(reader, io.RawIOBase)
                assert reader.readable()
                assert reader.size == SIZE
                start = bytearray(10)
                assert reader.readinto(start) == 10
                assert bytes(start) == IMAGE.layer[:10]
                assert reader.read(5) == IMAGE.layer[10:15]
                assert io.BufferedReader(reader).read() == IMAGE.layer[15:]
            assert reader.closed

    def test_it_heals_a_cut(self) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, replace(WHOLE, cut_after=1_000_000), WHOLE)
            with registry.image.layer_reader(IMAGE.id) as reader:
                assert hashlib.sha256(reader.readall()).digest() == hashlib.sha256(IMAGE.layer).digest()
            assert "cut after 1000000" in registry.peer.faults

    def test_damage_is_an_error_at_its_end(self) -> None:
        with Registry(IMAGE) as registry:
            layer(registry.peer, IMAGE, Reply(body=bytes(SIZE)))
            with registry.image.layer_reader(IMAGE.id) as reader, pytest.raises(ChecksumMismatch):
                reader.readall()

    def test_the_stored_bytes_come_as_they_are(self) -> None:
        packed = make_image({"a": b"text " * 1000}, compress=True)[0]
        assert packed.layer[:2] == b"\x1f\x8b"
        with Registry(packed) as registry:
            encoded = Reply(body=packed.layer, headers=(("Content-Encoding", "gzip"),))
            layer(registry.peer, packed, encoded)
            with registry.image.layer_reader(packed.id) as reader:
                assert reader.readall() == packed.layer
            assert registry.peer.requests[-1].header("Accept-Encoding") == "identity"

    def test_leaving_it_early_is_fine(self) -> None:
        with Registry(IMAGE) as registry:
            reader = registry.image.layer_reader(IMAGE.id)
            assert len(reader.read(100)) == 100
            reader.close()
            reader.close()
            with pytest.raises(ValueError, match="closed"):
                reader.read(1)


class TestRedirects:
    def test_storage_elsewhere_gets_the_range_and_no_credentials(self, tmp_path: Path) -> None:
        with Peer() as peer, Peer() as storage:
            index(peer, token="secret-token", headers=(("Set-Cookie", "session=secret-cookie; Path=/"),))
            endpoint(peer, IMAGE)
            peer.on(layer_path(IMAGE), redirect(f"{storage.url}/bucket/x?signature=abc"))
            storage.on("/bucket/x", replace(WHOLE, cut_after=1_000_000), WHOLE)
            with v1.get_image(NAME, peer.url, settings=QUICK) as image:
                assert image.download(IMAGE.id, tmp_path / "layer").verified
            assert "cut after 1000000" in storage.faults
            assert [request.header("Range") for request in storage.requests] == [None, f"bytes=1000000-{SIZE - 1}"]
            assert storage.requests[0].target == "/bucket/x?signature=abc"
            for request in storage.requests:
                sent = " ".join(f"{name}: {value}" for name, value in request.headers)
                assert "secret" not in sent
                assert request.header("Authorization") is None
                assert request.header("Cookie") is None
            # every try begins at the registry, so that a signed URL is fresh
            assert len(asked(peer, layer_path(IMAGE))) == 2
            assert all(request.header("Cookie") == "session=secret-cookie" for request in peer.requests[1:])

    def test_a_cookie_of_storage_is_not_kept(self) -> None:
        with Peer() as peer, Peer() as storage:
            index(peer)
            endpoint(peer, IMAGE)
            peer.on(layer_path(IMAGE), redirect(f"{storage.url}/x"))
            cookie = ("Set-Cookie", "storage=1; Path=/")
            storage.on("/x", replace(WHOLE, headers=(cookie,)))
            with v1.get_image(NAME, peer.url, settings=QUICK) as image:
                with image.layer_reader(IMAGE.id) as reader:
                    assert len(reader.read(10)) == 10
                assert storage.requests
                assert image.cookie(f"{storage.url}/x") == ""

    def test_a_signed_url_is_in_no_message(self, tmp_path: Path) -> None:
        with Peer() as peer, Peer() as storage:
            index(peer)
            endpoint(peer, IMAGE)
            peer.on(layer_path(IMAGE), redirect(f"{storage.url}/bucket/x?signature=canary"))
            events: list[object] = []
            with (
                v1.get_image(NAME, peer.url, settings=QUICK, observe=events.append) as image,
                pytest.raises(Exception, match="bucket") as caught,
            ):
                image.download(IMAGE.id, tmp_path / "layer")
            assert "canary" not in str(caught.value) + str(events)

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/", "http://", "//[", ""])
    def test_only_http_is_followed(self, target: str) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, IMAGE)
            peer.on(layer_path(IMAGE), redirect(target))
            with (
                v1.get_image(NAME, peer.url, settings=QUICK) as image,
                image.layer_reader(IMAGE.id) as reader,
                pytest.raises(RemoteFault, match="redirects"),
            ):
                reader.read(1)


class TestWholeImage:
    def test_all_layers_several_at_once_each_once(self, tmp_path: Path) -> None:
        images = [replace(one, raw=one.raw) for one in make_image(*({f"f{n}": bytes([n]) * 9999} for n in range(12)))]
        with Registry(*images) as registry:
            pulled = registry.image.download_image("latest", tmp_path / "out", jobs=4)
            assert pulled.ids == tuple(one.id for one in images)
            assert pulled.unverified == pulled.present == ()
            for one in images:
                assert (tmp_path / "out" / one.id / "json").read_bytes() == one.raw
                assert (tmp_path / "out" / one.id / "layer.tar").read_bytes() == one.layer
                assert (tmp_path / "out" / one.id / "VERSION").read_text() == "1.0"
                assert len(asked(registry.peer, layer_path(one))) == 1
            assert registry.peer.connections > 1

    def test_a_second_time_no_layer_is_fetched(self, tmp_path: Path) -> None:
        images = make_image({"a": b"1"}, {"b": b"2"})
        with Registry(*images) as registry:
            registry.image.download_image("latest", tmp_path)
            again = registry.image.download_image("latest", tmp_path)
            assert again.present == again.ids
            assert [len(asked(registry.peer, layer_path(one))) for one in images] == [1, 1]

    def test_one_bad_layer_stops_the_rest_and_is_the_error(self, tmp_path: Path) -> None:
        images = make_image(*({f"f{n}": bytes([n]) * 9999} for n in range(6)))
        with Registry(*images) as registry:
            layer(registry.peer, images[3], Reply(body=bytes(len(images[3].layer))))
            with pytest.raises(ChecksumMismatch, match=images[3].id):
                registry.image.download_image("latest", tmp_path, jobs=2)
            assert not (tmp_path / images[3].id / "layer.tar").exists()
            assert not (tmp_path / "repositories").exists()  # the tag comes last
            wait_until(lambda: not [one for one in threading.enumerate() if one.name == "dockless"])

    def test_by_id_alone(self, tmp_path: Path) -> None:
        images = make_image({"a": b"1"}, {"b": b"2"})
        with Registry(*images) as registry:
            assert registry.image.download_by_id(images[1].id, tmp_path).ids == (images[1].id,)
            assert left_in(tmp_path) == [images[1].id]


def wait_until(condition: object, seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.02)
