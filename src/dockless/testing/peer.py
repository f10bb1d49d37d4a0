"""A scripted HTTP peer that misbehaves over real sockets. It writes raw bytes, so it can lie.

Rules:
* Everything not scripted to go wrong is right: keep-alive, lengths, framing, a TLS goodbye before a clean close.
* A request counts in `requests` once all of it has arrived, answered or not.
* `faults` holds what really went wrong, in order, each noted before the client can know. N counts bytes of the body:
  "stall before answer", "stall after N", "cut after N", "reset after N", "closed before answer",
  "reset before answer", "raw answer", "announced N for M", "endless", "drip", "closed unannounced",
  "closed on next request".
* `close` ends every stall and every connection, and waits for their threads.
"""

import json
import re
import socket
import ssl
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import responses
from io import BufferedReader
from typing import Literal, Self

_BLOCK = 64 * 1024
_MOST_ENDLESS = 2 * 1024**3
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")


@dataclass(frozen=True)
class Received:
    """A request as it arrived. `connection` is the number, from 1, of the connection that it came over."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    connection: int
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """Return the first header of that name, in any case."""
        return next((value for own, value in self.headers if own.lower() == name.lower()), None)


@dataclass(frozen=True)
class Reply:
    """An answer, and what is wrong with it. Counts are bytes of the body that this very answer has."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_length: int | Literal["absent"] | None = None  # None: right. A number: the lie. "absent": ends by closing
    chunked: bool = False
    cut_after: int | None = None  # close after so many bytes
    reset: bool = False  # that cut (or drop, raw, close) is an RST, not a FIN
    stall_after: int | None = None  # send nothing more after so many bytes, until `close()`; -1: not even a status
    drop: bool = False  # close without an answer
    raw: bytes | None = None  # send this instead, and close
    close: bool = False  # close after an answer that said keep-alive
    close_on_next: bool = False  # close, unanswered, when the next request has come: the stale connection of a pool
    drip: float | None = None  # seconds after each single byte
    ranges: bool = False  # give a `Range` its 206 or 416
    endless: bool = False  # repeat the body until the client leaves, at most 2 GiB

    def __post_init__(self) -> None:
        """A script that cannot do what it says is refused. Raises ValueError."""
        if self.cut_after is not None and self.stall_after is not None:
            raise ValueError("an answer is cut or stalls, not both")
        if self.reset and self.cut_after is None and self.raw is None and not (self.drop or self.close):
            raise ValueError("a reset needs a cut_after, drop, raw or close that it is")

    @property
    def until_close(self) -> bool:
        """Whether nothing but the end of the connection tells where the body ends."""
        return not self.chunked and (self.content_length == "absent" or (self.endless and self.content_length is None))


Answer = Reply | Callable[[Received], Reply]


def json_reply(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return an answer that holds `value` as JSON."""
    return Reply(status, json.dumps(value).encode(), (("Content-Type", "application/json"), *headers))


def redirect(location: str, status: int = 302) -> Reply:
    """Return an answer that sends the client elsewhere."""
    return Reply(status, headers=(("Location", location),))


class Listener(ABC):
    """A server on a free port with a daemon thread for each connection. Use it with `with`, or call `close`."""

    def __init__(self, host: str, tls: ssl.SSLContext | None) -> None:
        self._listening = socket.create_server((host, 0))
        self._tls = tls
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.host = f"{host}:{self._listening.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self.connections = 0
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def talk(self, connection: socket.socket, number: int) -> None:
        """Hold the conversation; the connection is closed cleanly on return."""

    def end_with_close(self, connection: socket.socket) -> None:
        """Let `close` end this connection, too. Raises ConnectionAbortedError when it already came."""
        with self._lock:
            if self._closing.is_set():
                raise ConnectionAbortedError
            self._open = {one for one in self._open if one.fileno() >= 0} | {connection}

    def close(self) -> None:
        """Stop listening, end every stall and every connection."""
        with self._lock:
            self._closing.set()
            still_open = list(self._open)
        with suppress(OSError):  # closing alone does not wake an accept() on Linux
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in still_open:
            hang_up(connection)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, accepted: socket.socket, number: int) -> None:
        with suppress(OSError), accepted, self._secured(accepted) as connection:  # the client may leave, or distrust us
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.end_with_close(connection)
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            self.talk(connection, number)
            if isinstance(connection, ssl.SSLSocket):
                connection.settimeout(1)  # for a client that does not say goodbye in turn
                connection.unwrap()

    def _secured(self, accepted: socket.socket) -> socket.socket:
        if self._tls is None:
            return accepted
        return self._tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)


def hang_up(connection: socket.socket) -> None:
    """Wake every thread that waits on the connection, for good."""
    with suppress(OSError):
        # Not SSLSocket's own: that one takes its state away under the feet of the thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def read_head(stream: BufferedReader, number: int) -> Received | None:
    """Return the next request without its body; None at the end, and for what is not HTTP."""
    if not stream.peek(1)[:1].isalpha():  # a TLS hello, say, which may never bring the end of a line
        return None
    lines: list[str] = []
    while (line := stream.readline()) not in {b"\r\n", b"\n"}:
        if not line:
            return None
        lines.append(line.decode("latin-1").rstrip("\r\n"))
    words = lines[0].split()
    if len(words) != 3:
        return None
    pairs = (line.partition(":") for line in lines[1:])
    return Received(words[0], words[1], tuple((name, value.strip()) for name, _, value in pairs), number)


class Peer(Listener):
    """A server that answers by script: `on` says what. An unscripted path is 404."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Received] = []
        self.faults: list[str] = []
        self._script: dict[tuple[str, str], list[Answer]] = {}
        super().__init__(host, tls)  # last: from here on it answers

    def on(self, path: str, *replies: Answer, method: str = "GET") -> None:
        """Answer `method` on `path` with one reply after the other, the last of them for ever; none: no more at all."""
        with self._lock:
            self._script[method, path] = list(replies)

    def talk(self, connection: socket.socket, number: int) -> None:
        """Answer one request after the other."""
        doomed = False
        with connection.makefile("rb") as stream:
            while (request := _read_request(stream, number)) is not None:
                self.requests.append(request)
                if doomed:
                    self.faults.append("closed on next request")
                    return
                reply = self._scripted(request)
                if not self._answer(connection, request, reply):
                    if reply.reset:
                        self._reset(connection)
                    return
                doomed = reply.close_on_next

    def _scripted(self, request: Received) -> Reply:
        with self._lock:
            replies = self._script.get((request.method, request.path))
            if not replies:
                return json_reply({"error": "not scripted"}, 404)
            answer = replies.pop(0) if len(replies) > 1 else replies[0]
        reply = answer if isinstance(answer, Reply) else answer(request)
        return _ranged(reply, request.header("range")) if reply.ranges else reply

    def _answer(self, connection: socket.socket, request: Received, reply: Reply) -> bool:
        """Send the answer; say whether the connection goes on."""
        if reply.stall_after == -1:
            return self._stall("stall before answer")
        if reply.drop:
            self.faults.append("reset before answer" if reply.reset else "closed before answer")
            return False
        if reply.raw is not None:
            self.faults.append("raw answer")
            connection.sendall(reply.raw)
            return False
        self._note_at_once(reply)
        goes_on = not reply.until_close and (request.header("connection") or "").lower() != "close"
        connection.sendall(_head(reply, goes_on))
        sent = 0 if request.method == "HEAD" else self._send_body(connection, reply)
        if reply.stall_after is not None:
            return self._stall(f"stall after {sent}")
        if reply.cut_after is not None:
            self.faults.append(f"{'reset' if reply.reset else 'cut'} after {sent}")
            return False
        return goes_on and not reply.close

    def _note_at_once(self, reply: Reply) -> None:
        announced = reply.content_length
        if isinstance(announced, int) and announced != len(reply.body):
            self.faults.append(f"announced {announced} for {len(reply.body)}")
        notes = {"endless": reply.endless, "drip": reply.drip is not None, "closed unannounced": reply.close}
        self.faults += [note for note, happens in notes.items() if happens]

    def _send_body(self, connection: socket.socket, reply: Reply) -> int:
        limit = reply.stall_after if reply.cut_after is None else reply.cut_after
        sent = 0
        for block in _blocks(reply):
            part = block if limit is None else block[: limit - sent]
            if reply.chunked:
                connection.sendall(b"%x\r\n" % len(block))
            connection.sendall(part)
            sent += len(part)
            if sent == limit:
                break
            if reply.chunked:
                connection.sendall(b"\r\n")
            if reply.drip is not None:
                self._closing.wait(reply.drip)
        if reply.chunked and limit is None:
            connection.sendall(b"0\r\n\r\n")
        return sent

    def _stall(self, fault: str) -> Literal[False]:
        self.faults.append(fault)
        self._closing.wait()
        return False

    def _reset(self, connection: socket.socket) -> None:
        self._closing.wait(0.05)  # an RST overtakes what is still on its way
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.close(connection.detach())  # at once, though the stream still holds the socket


def _read_request(stream: BufferedReader, number: int) -> Received | None:
    head = read_head(stream, number)
    if head is None:
        return None
    with suppress(ValueError):
        if (head.header("transfer-encoding") or "").lower() == "chunked":
            return replace(head, body=_read_chunks(stream))
        length = int(head.header("content-length") or 0)
        body = stream.read(length)
        return replace(head, body=body) if len(body) == length else None
    return None


def _read_chunks(stream: BufferedReader) -> bytes:
    body = bytearray()
    while size := int(stream.readline().partition(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    while stream.readline().strip():  # trailers
        pass
    return bytes(body)


def _head(reply: Reply, goes_on: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Unknown')}"]
    if reply.chunked:
        lines.append("Transfer-Encoding: chunked")
    if isinstance(reply.content_length, int):
        lines.append(f"Content-Length: {reply.content_length}")
    elif not reply.chunked and not reply.until_close:
        lines.append(f"Content-Length: {len(reply.body)}")
    lines.append(f"Connection: {'keep-alive' if goes_on else 'close'}")
    lines += [f"{name}: {value}" for name, value in reply.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _blocks(reply: Reply) -> Iterator[memoryview]:
    step = _BLOCK if reply.drip is None else 1
    body, rounds = reply.body, 1
    if reply.endless:
        body = (body or b"\0") * (1 + _BLOCK // max(1, len(body)))  # blocks of a good size, however short the body
        rounds = _MOST_ENDLESS // len(body)
    view = memoryview(body)
    return (view[start : start + step] for _ in range(rounds) for start in range(0, len(body), step))


def _ranged(reply: Reply, wanted: str | None) -> Reply:
    found = _RANGE.fullmatch(wanted or "")
    if found is None:
        return replace(reply, headers=(*reply.headers, ("Accept-Ranges", "bytes")))
    size = len(reply.body)
    first, last = int(found[1]), min(int(found[2] or size), size - 1)
    if first > last:
        return Reply(416, headers=(("Content-Range", f"bytes */{size}"),))
    place = ("Content-Range", f"bytes {first}-{last}/{size}")
    return replace(reply, status=206, body=reply.body[first : last + 1], headers=(*reply.headers, place))
