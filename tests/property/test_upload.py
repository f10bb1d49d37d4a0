"""Uploads into a registry that fails at random: what it has is always a beginning of the blob, and there is an end."""

import hashlib
import random
from collections.abc import Iterator
from urllib.parse import urljoin

from hypothesis import given
from hypothesis import strategies as st

from dockless.model.digest import Digest, digest_of
from dockless.model.errors import RemoteFault
from dockless.wire.http import Headers
from dockless.wire.v2.upload import Kind, Step, Upload

HOST = "http://registry.example"
FAULTS = ("none", "refused", "cut", "cut and dropped", "answer lost", "session lost")
MOST_STEPS = 400


class Failed(Exception):
    """No answer (None), or one that was not expected."""

    def __init__(self, status: int | None) -> None:
        super().__init__(status)
        self.status = status


class Registry:
    """Honest, but for its faults; it appends whatever comes, as docker-registry does, and takes so much at once."""

    def __init__(self, content: bytes, faults: Iterator[tuple[str, int]], most: int, least: int) -> None:
        self.content = content
        self.faults = faults
        self.most = most
        self.least = least
        self.sessions: dict[str, bytearray] = {}
        self.stored = False
        self.begun = 0

    def answer(self, step: Step) -> tuple[str, int, Headers]:
        fault, place = next(self.faults, ("none", 0))
        body = self.content[step.first : step.last] if step.carries else b""
        if fault == "refused":
            raise Failed(503)
        if fault == "session lost":
            self.sessions.clear()
        if fault.startswith("cut"):
            if fault == "cut":
                self.take(step, body[: place % (len(body) + 1)])
            raise Failed(None)
        status, pairs = self.act(step, body)
        if fault == "answer lost":
            raise Failed(None)
        if status not in step.expect:
            raise Failed(status)
        return urljoin(HOST, step.request.url), status, Headers(pairs)

    def take(self, step: Step, body: bytes) -> bytearray | None:
        session = self.sessions.get(step.request.url.partition("?")[0])
        if session is not None:
            session += body
            assert self.content.startswith(session)
        return session

    def act(self, step: Step, body: bytes) -> tuple[int, list[tuple[str, str]]]:
        if step.kind is Kind.LOOK:
            return (200 if self.stored else 404), []
        if len(body) > self.most:
            return 413, []
        if step.kind in {Kind.BEGIN, Kind.SINGLE}:
            self.begun += 1
            path = f"{HOST}/uploads/{self.begun}"
            self.sessions[path] = bytearray()
            return 202, [("Location", path + "?x=y"), ("OCI-Chunk-Min-Length", str(self.least))]
        session = self.take(step, body)
        return (404, []) if session is None else self.go_on(step, session)

    def go_on(self, step: Step, session: bytearray) -> tuple[int, list[tuple[str, str]]]:
        if step.kind is Kind.CLOSE:
            assert session == self.content
            self.sessions.clear()
            self.stored = True
            return 201, []
        if step.kind is Kind.PIECE:
            assert step.last - step.first >= self.least or step.last == len(self.content)
        where = [("Range", f"0-{max(0, len(session) - 1)}"), ("Location", step.request.url)]
        return (204 if step.kind is Kind.ASK else 202), where


def drive(talk: Upload, registry: Registry, size: int, digest: Digest) -> bool:
    """Say whether the upload came to its end; False when it gave up."""
    for _ in range(MOST_STEPS):
        if talk.done:
            return True
        step = talk.next(size, digest)
        try:
            answer = registry.answer(step)
        except Failed as fault:
            if not talk.failed(step, fault.status, fault.status is None or fault.status >= 500):
                return False
        else:
            talk.answered(step, *answer)
    raise AssertionError("no end")


faults = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 1 << 20)), max_size=25)


@given(
    size=st.sampled_from([0, 1, 2, 100, 20_000, 1 << 20, (1 << 20) + 1]),
    most=st.sampled_from([1 << 30, 1 << 18, (1 << 19) + 7]),
    least=st.sampled_from([0, 1, 100_000]),
    chunk=st.sampled_from([None, 1 << 19]),
    plan=faults,
)
def test_whatever_fails_the_whole_blob_arrives(
    size: int, most: int, least: int, chunk: int | None, plan: list[tuple[str, int]]
) -> None:
    content = random.Random(size).randbytes(size)
    registry = Registry(content, iter(plan), most, least)
    assert drive(Upload(HOST, "a/b", chunk), registry, size, digest_of(content))
    assert registry.stored


@given(location=st.text(max_size=60))
def test_any_location_is_refused_or_leads_to_http(location: str) -> None:
    talk = Upload(HOST, "a/b")
    digest = Digest("sha256:" + hashlib.sha256(b"x").hexdigest())
    step = talk.next(1 << 20, digest)
    try:
        talk.answered(step, f"{HOST}{step.request.url}", 202, Headers([("Location", location)]))
    except RemoteFault:
        return
    url = talk.next(1 << 20, digest).request.url
    assert url.startswith(("http://", "https://"))
    assert url.endswith("digest=sha256%3A" + digest[7:])


@given(st.text(max_size=40))
def test_any_range_is_an_offset_or_a_new_session(said: str) -> None:
    talk = Upload(HOST, "a/b")
    digest, size = digest_of(b"x"), 1 << 20
    talk.answered(talk.next(size, digest), HOST, 202, Headers([("Location", "/1")]))
    talk.failed(talk.next(size, digest), None, True)
    talk.answered(talk.next(size, digest), HOST, 404, Headers())
    ask = talk.next(size, digest)
    assert ask.kind is Kind.ASK
    talk.answered(ask, HOST, 204, Headers([("Range", said)]))
    assert talk.next(size, digest).kind in {Kind.BEGIN, Kind.PIECE, Kind.CLOSE}
    assert 0 <= talk.offset <= size
