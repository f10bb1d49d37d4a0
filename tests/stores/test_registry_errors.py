"""What a v2 registry says when it refuses, limits and warns, and what becomes of it here."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from dockless.model.documents import make_document
from dockless.model.errors import Denied, NotFound, RateLimited, RemoteFault, Unauthorized
from dockless.model.events import Event, Notice, Retrying
from dockless.model.media_types import OCI_INDEX
from dockless.net.session import Session
from dockless.stores.registry.repository import Repository
from dockless.testing.peer import Peer, Received, Reply, json_reply
from dockless.wire.http import Request
from tests.scripted import QUICK
from tests.scripted_registry import NAME, manifest, manifest_path, refusal, repository

INDEX, RAW = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
TAGS = f"/v2/{NAME}/tags/list"


@pytest.fixture(name="peer")
def scripted() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture(name="events")
def observed() -> list[Event]:
    return []


@pytest.fixture(name="there")
def opened(peer: Peer, events: list[Event]) -> Iterator[Repository]:
    with closing(Session(QUICK, events.append)) as session:
        yield repository(peer, session=session)


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [(400, RemoteFault), (401, Unauthorized), (403, Denied), (404, NotFound), (405, RemoteFault)],
    )
    def test_status_codes_and_words_are_kept(
        self, there: Repository, peer: Peer, status: int, kind: type[RemoteFault]
    ) -> None:
        peer.on(manifest_path("1"), refusal(status, "DENIED", "requested access\x1b[2J is denied"))
        with pytest.raises(kind, match=rf"HTTP {status} - DENIED: requested access\\x1b\[2J is denied") as caught:
            there.fetch_named("1")
        assert caught.value.status == status
        assert caught.value.codes == ("DENIED",)
        assert len(peer.requests) == 1

    @pytest.mark.parametrize(
        ("code", "status", "kind"),
        [
            ("BLOB_UNKNOWN", 404, NotFound),
            ("BLOB_UPLOAD_INVALID", 400, RemoteFault),
            ("BLOB_UPLOAD_UNKNOWN", 404, NotFound),
            ("DIGEST_INVALID", 400, RemoteFault),
            ("MANIFEST_BLOB_UNKNOWN", 404, NotFound),
            ("MANIFEST_INVALID", 400, RemoteFault),
            ("MANIFEST_UNKNOWN", 404, NotFound),
            ("NAME_INVALID", 400, RemoteFault),
            ("NAME_UNKNOWN", 404, NotFound),
            ("SIZE_INVALID", 400, RemoteFault),
            ("UNAUTHORIZED", 401, Unauthorized),
            ("DENIED", 403, Denied),
            ("UNSUPPORTED", 415, RemoteFault),
            ("TOOMANYREQUESTS", 429, RateLimited),
        ],
    )
    def test_every_code_of_the_specification_is_kept_with_its_kind(
        self, there: Repository, peer: Peer, code: str, status: int, kind: type[RemoteFault]
    ) -> None:
        peer.on(manifest_path("1"), refusal(status, code, "said"))
        with pytest.raises(kind, match=f"HTTP {status} - {code}: said") as caught:
            there.fetch_named("1")
        assert type(caught.value) is kind
        assert caught.value.codes == (code,)

    @pytest.mark.parametrize("body", [b"<html>no</html>", b"", b'{"errors":[]}', b'{"errors":'])
    def test_any_other_body_leaves_the_status(self, there: Repository, peer: Peer, body: bytes) -> None:
        peer.on(manifest_path("1"), Reply(404, body))
        with pytest.raises(NotFound, match=r"HTTP 404$") as caught:
            there.fetch_named("1")
        assert caught.value.codes == ()

    def test_an_error_without_end_is_read_no_further(self, there: Repository, peer: Peer) -> None:
        peer.on(manifest_path("1"), Reply(404, b"x", endless=True))
        with pytest.raises(NotFound):
            there.fetch_named("1")

    def test_a_rate_limit_is_waited_for(self, there: Repository, peer: Peer, events: list[Event]) -> None:
        """F11."""
        limited = refusal(429, "TOOMANYREQUESTS", "slow down")
        wait = (("Retry-After", "1"),)
        peer.on(
            manifest_path("1"),
            replace(limited, headers=wait),
            Reply(body=RAW, headers=(("Content-Type", OCI_INDEX),)),
        )
        assert there.fetch_named("1")[0] == INDEX
        assert [event.pause for event in events if isinstance(event, Retrying)] == [1.0]

    def test_until_a_date_too(self, there: Repository, peer: Peer, events: list[Event]) -> None:
        """F12."""
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        limited = Reply(429, headers=(("Retry-After", until),))
        peer.on(manifest_path("1"), limited, Reply(body=RAW, headers=(("Content-Type", OCI_INDEX),)))
        assert there.fetch_named("1")[0] == INDEX
        (pause,) = [event.pause for event in events if isinstance(event, Retrying)]
        assert QUICK.retry.longest_pause < pause <= 2.0

    def test_one_that_does_not_say_until_when_is_tried_a_few_times(self, there: Repository, peer: Peer) -> None:
        """F13: Docker Hub's limit of pulls."""
        peer.on(manifest_path("1"), refusal(429, "TOOMANYREQUESTS", "You have reached your pull rate limit"))
        with pytest.raises(RateLimited, match="reached your pull rate limit") as caught:
            there.fetch_named("1")
        assert len(peer.requests) == QUICK.retry.attempts
        assert caught.value.retry_after is None
        assert "later" in caught.value.hint

    def test_and_by_all_who_ask_there(self, there: Repository, peer: Peer) -> None:
        """F11: another request waits, though it was not refused itself."""
        limited = replace(refusal(429, "TOOMANYREQUESTS", "slow down"), headers=(("Retry-After", "1"),))
        peer.on("/v2/x", limited)
        manifest(peer, "1", INDEX, RAW)
        with pytest.raises(RateLimited):
            there.client.ask(Request("/v2/x"), lambda response: None, scope="", repeat=False)
        started = time.monotonic()
        there.resolve("1")
        assert time.monotonic() - started > 0.9
        assert len(peer.requests) == 2

    def test_one_that_is_too_long_is_said(self, there: Repository, peer: Peer) -> None:
        """F12."""
        limited = refusal(429, "TOOMANYREQUESTS", "pull limit reached")
        peer.on(manifest_path("1"), replace(limited, headers=(("Retry-After", "86400"),)))
        with pytest.raises(RateLimited, match="TOOMANYREQUESTS: pull limit") as caught:
            there.fetch_named("1")
        assert "86400 s" in caught.value.hint
        assert len(peer.requests) == 1

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_an_error_that_passes_is_tried_again(self, there: Repository, peer: Peer, status: int) -> None:
        """F9."""
        peer.on(manifest_path("1"), Reply(status), method="HEAD")
        with pytest.raises(RemoteFault):
            there.resolve("1")
        assert len(peer.requests) == QUICK.retry.attempts
        manifest(peer, "2", INDEX, RAW)
        peer.on(manifest_path("2"), Reply(status), Reply(body=RAW, headers=(("Content-Type", OCI_INDEX),)))
        assert there.fetch_named("2")[0] == INDEX

    def test_without_repeat_there_is_one_try(self, there: Repository, peer: Peer) -> None:
        peer.on("/v2/x", Reply(503))
        with pytest.raises(RemoteFault):
            there.client.ask(Request("/v2/x"), lambda response: None, scope="", repeat=False)
        assert len(peer.requests) == 1


class TestWarnings:
    def test_each_is_told_once(self, there: Repository, peer: Peer, events: list[Event]) -> None:
        headers = (
            ("Warning", '299 - "this image is \\"old\\""'),
            ("Warning", '299 - "move" , 299 - "second"'),
            ("Warning", '199 - "not for people"'),
            ("Warning", '299 other "not for us"'),
            ("Warning", "299 - nonsense"),
        )
        peer.on(TAGS, json_reply({"tags": []}, headers=headers))
        for _ in range(3):
            list(there.tags())
        assert [event.text for event in events if isinstance(event, Notice)] == [
            '127.0.0.1 warns: this image is "old"',
            "127.0.0.1 warns: move",
            "127.0.0.1 warns: second",
        ]

    def test_not_without_end(self, there: Repository, peer: Peer, events: list[Event]) -> None:
        def warn(request: Received) -> Reply:
            return json_reply({"tags": []}, headers=(("Warning", f'299 - "{len(peer.requests)}{"x" * 4000}"'),))

        peer.on(TAGS, warn)
        for _ in range(120):
            list(there.tags())
        texts = [event.text for event in events if isinstance(event, Notice)]
        assert len(texts) == 100
        assert max(map(len, texts)) < 600
