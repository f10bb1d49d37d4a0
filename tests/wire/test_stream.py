"""The loop that moves bytes, and the reader that checks them."""

import hashlib
from collections.abc import Callable, Iterable

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.documents import LONGEST_DOCUMENT
from dockless.model.errors import ChecksumMismatch, InvalidDocument, SizeMismatch
from dockless.wire.stream import (
    BytesReader,
    CheckedReader,
    DigestSum,
    PayloadSum,
    Promise,
    Reader,
    promise_of,
    pump,
    read_document,
)

JSON = b'{"id": "x"}'
LAYER = b"the layer's bytes"
CHECKSUM = "sha256:" + hashlib.sha256(JSON + b"\n" + LAYER).hexdigest()
WRONG = "sha256:" + "0" * 64


def views(*chunks: bytes) -> list[memoryview]:
    return [memoryview(chunk) for chunk in chunks]


class Chunks:
    """A Reader over some chunks, that counts how often it is closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.closed = 0
        self._chunks = iter(views(*chunks))

    def read_chunk(self) -> memoryview:
        return next(self._chunks, memoryview(b""))

    def close(self) -> None:
        self.closed += 1


def at(offset: int, reader: Reader) -> Callable[[int], Reader]:
    def open_at(asked: int) -> Reader:
        assert asked == offset
        return reader

    return open_at


def promise(size: int | None, checksum: str | None) -> Promise:
    return Promise("x", size, checksum, lambda: PayloadSum(JSON), "layer")


def checked(
    *chunks: bytes,
    size: int | None = len(LAYER),
    checksum: str | None = CHECKSUM,
    replayed: Iterable[memoryview] = (),
    offset: int = 0,
) -> CheckedReader:
    reader = Chunks(*chunks)
    return CheckedReader(promise(size, checksum), at(offset, reader), replayed)


def drain(reader: Reader) -> bytes:
    body = bytearray()
    pump(reader, body.extend)
    return bytes(body)


def test_every_byte_is_pumped_into_every_sink_in_order() -> None:
    first, second = bytearray(), bytearray()

    moved = pump(Chunks(b"ab", b"c", b"def"), first.extend, second.extend)

    assert moved == 6
    assert first == second == b"abcdef"


def test_the_pump_closes_nothing() -> None:
    reader = Chunks(b"ab")

    assert pump(reader) == 2
    assert reader.closed == 0


def test_an_empty_body_pumps_nothing() -> None:
    sunk: list[memoryview] = []

    assert pump(Chunks(), sunk.append) == 0
    assert sunk == []


@pytest.mark.parametrize(
    ("offset", "rest"), [(0, b"abc"), (1, b"bc"), (3, b""), (4, b"")], ids=["start", "middle", "end", "beyond"]
)
def test_bytes_that_are_here_are_read_once_from_the_offset(offset: int, rest: bytes) -> None:
    reader = BytesReader(b"abc", offset)

    assert bytes(reader.read_chunk()) == rest
    assert bytes(reader.read_chunk()) == b""


def test_bytes_that_are_here_can_be_closed_twice() -> None:
    reader: Reader = BytesReader(b"abc")

    reader.close()
    reader.close()

    assert drain(reader) == b"abc"


def test_the_payload_sum_covers_json_newline_and_layer() -> None:
    total = PayloadSum(JSON)

    for chunk in views(LAYER[:3], LAYER[3:]):
        total.update(chunk)

    assert str(total) == CHECKSUM


def test_what_agrees_with_size_and_checksum_is_read_to_its_end() -> None:
    reader = checked(LAYER[:5], LAYER[5:])

    assert drain(reader) == LAYER
    assert reader.done == len(LAYER)


@pytest.mark.parametrize("size", [None, len(LAYER)])
def test_the_wrong_bytes_end_with_an_error(size: int | None) -> None:
    reader = checked(LAYER, size=size, checksum=WRONG)

    with pytest.raises(ChecksumMismatch) as caught:
        drain(reader)

    assert str(caught.value).startswith("layer x ")
    assert CHECKSUM in str(caught.value)
    assert WRONG in str(caught.value)
    assert caught.value.hint


def test_the_last_bytes_are_held_back_when_they_are_wrong() -> None:
    promise = Promise("x", len(LAYER), WRONG, lambda: PayloadSum(JSON), "layer")
    reader = CheckedReader(promise, at(0, Chunks(LAYER[:5], LAYER[5:])))

    assert bytes(reader.read_chunk()) == LAYER[:5]
    with pytest.raises(ChecksumMismatch):
        reader.read_chunk()


def test_too_few_bytes_end_with_an_error_of_the_size_first() -> None:
    reader = checked(LAYER[:-1], checksum=WRONG)

    with pytest.raises(SizeMismatch, match=f"layer x has {len(LAYER) - 1} bytes, {len(LAYER)} were promised"):
        drain(reader)


def test_a_byte_too_many_is_never_handed_on() -> None:
    body = bytearray()

    with pytest.raises(SizeMismatch, match=f"layer x has more than the {len(LAYER)} bytes promised"):
        pump(checked(LAYER, b"!"), body.extend)

    assert body == LAYER


def test_an_unknown_checksum_is_not_compared() -> None:
    assert drain(checked(b"x" * len(LAYER), checksum=None)) == b"x" * len(LAYER)


def test_an_unknown_size_is_not_compared() -> None:
    assert drain(checked(LAYER, size=None)) == LAYER


@pytest.mark.parametrize("size", [0, None])
def test_a_layer_of_no_bytes_is_whole(size: int | None) -> None:
    checksum = "sha256:" + hashlib.sha256(JSON + b"\n").hexdigest()

    assert drain(checked(size=size, checksum=checksum)) == b""


def test_what_an_earlier_try_left_counts_and_is_checked() -> None:
    reader = checked(LAYER[9:], replayed=views(LAYER[:4], LAYER[4:9]), offset=9)

    assert reader.done == 9
    assert drain(reader) == LAYER[9:]
    assert reader.done == len(LAYER)


def test_a_wrong_byte_that_an_earlier_try_left_is_found() -> None:
    with pytest.raises(ChecksumMismatch):
        drain(checked(LAYER[1:], replayed=views(b"!"), offset=1))


def test_more_than_the_size_left_by_an_earlier_try_asks_for_nothing() -> None:
    def refuse(offset: int) -> Reader:
        pytest.fail("asked")

    with pytest.raises(SizeMismatch):
        CheckedReader(promise(3, None), refuse, views(b"four"))


def test_closing_closes_what_is_read_from() -> None:
    inner = Chunks()

    CheckedReader(promise(None, None), at(0, inner)).close()

    assert inner.closed == 1


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_descriptor_promises_size_and_digest_whatever_the_algorithm(algorithm: str) -> None:
    digest = Digest(f"{algorithm}:{hashlib.new(algorithm, LAYER).hexdigest()}")
    promised = promise_of(Descriptor("a/b", digest, len(LAYER)))
    assert drain(CheckedReader(promised, lambda _: BytesReader(LAYER))) == LAYER
    with pytest.raises(ChecksumMismatch, match=f"blob {digest} is not what its checksum promises"):
        drain(CheckedReader(promised, lambda _: BytesReader(LAYER[::-1])))


def test_a_descriptor_s_size_is_held_against_the_first_byte_too_many() -> None:
    promised = promise_of(describe(LAYER, "a/b"))
    with pytest.raises(SizeMismatch, match="more than"):
        drain(CheckedReader(promised, lambda _: BytesReader(LAYER + b"!")))


def test_a_sum_goes_on_from_its_copy() -> None:
    total = DigestSum()
    total.update(memoryview(LAYER[:5]))
    twin = total.copy()
    total.update(memoryview(b"other"))
    twin.update(memoryview(LAYER[5:]))
    assert str(twin) == describe(LAYER, "").digest


def test_a_check_goes_on_from_a_sum_that_was_begun_before() -> None:
    begun = DigestSum()
    begun.update(memoryview(LAYER[:5]))
    promised = Promise("x", len(LAYER), describe(LAYER, "").digest, begun.copy)
    assert drain(CheckedReader(promised, lambda _: BytesReader(LAYER, 5), done=5)) == LAYER[5:]
    with pytest.raises(SizeMismatch):
        drain(CheckedReader(promised, lambda _: BytesReader(LAYER, 5), done=4))


def test_a_document_is_read_whole_and_verified() -> None:
    wanted = describe(LAYER, "text/plain")
    source = Chunks(LAYER[:3], LAYER[3:])

    assert read_document(wanted, at(0, source)) == LAYER
    assert source.closed == 1
    with pytest.raises(ChecksumMismatch):
        read_document(wanted, at(0, Chunks(LAYER[::-1])))


def test_a_document_that_is_too_long_is_not_even_opened() -> None:
    wanted = Descriptor("text/plain", Digest(WRONG), LONGEST_DOCUMENT + 1)

    with pytest.raises(InvalidDocument, match="too many for a document"):
        read_document(wanted, at(1, Chunks()))
