"""The conversation of an upload, without a registry: what is asked, and what an answer means."""

import hashlib
from urllib.parse import urljoin

import pytest

from dockless.model.digest import Digest
from dockless.model.errors import RemoteFault
from dockless.wire.http import Headers
from dockless.wire.v2.upload import CHUNK, SMALL, Kind, Step, Upload

HOST = "https://registry.example"
UPLOADS = "/v2/a/b/blobs/uploads/"
DIGEST = Digest("sha256:" + hashlib.sha256(b"").hexdigest())
QUOTED = DIGEST.replace(":", "%3A")
SIZE = 3 * CHUNK
SESSION = f"{HOST}{UPLOADS}1"


def headers(**pairs: str) -> Headers:
    return Headers((name.replace("_", "-"), value) for name, value in pairs.items())


class Talk:
    """An upload of so many bytes, and what it says next."""

    def __init__(self, size: int = SIZE, registry: str = HOST, chunk: int | None = None) -> None:
        self.upload = Upload(registry, "a/b", chunk)
        self.registry = registry
        self.size = size
        self.digest: Digest | None = DIGEST

    def step(self) -> Step:
        return self.upload.next(self.size, self.digest)

    def answer(self, status: int, url: str = "", **pairs: str) -> "Talk":
        step = self.step()
        assert status in step.expect, (step, status)
        came_from = url or urljoin(self.registry, step.request.url)
        self.upload.answered(step, came_from, status, headers(**pairs))
        return self

    def fail(self, status: int | None, transient: bool = False) -> bool:
        step = self.step()
        assert status not in step.expect
        return self.upload.failed(step, status, transient)

    def says(self) -> tuple[Kind, str, str]:
        step = self.step()
        return step.kind, step.request.method, step.request.url

    def sends(self) -> tuple[Kind, int, int]:
        step = self.step()
        assert step.carries
        return step.kind, step.first, step.last

    def begun(self, **pairs: str) -> "Talk":
        return self.answer(202, **{"Location": f"{UPLOADS}1", **pairs})

    def cut(self) -> "Talk":
        assert self.fail(None, transient=True)
        return self

    def absent(self) -> "Talk":
        """The blob is looked for, and not there."""
        assert self.says() == (Kind.LOOK, "HEAD", f"/v2/a/b/blobs/{DIGEST}")
        return self.answer(404)


# --- One piece --------------------------------------------------------------------------------------------------------


def test_post_then_put() -> None:
    talk = Talk()
    assert talk.says() == (Kind.BEGIN, "POST", UPLOADS)
    assert not talk.step().carries
    talk.begun()
    assert talk.says() == (Kind.CLOSE, "PUT", f"{SESSION}?digest={QUOTED}")
    assert talk.sends() == (Kind.CLOSE, 0, SIZE)
    assert talk.step().request.headers == (("Content-Type", "application/octet-stream"),)
    assert not talk.upload.done
    assert talk.answer(201).upload.done


def test_what_is_small_goes_with_the_post() -> None:
    talk = Talk(SMALL)
    assert talk.says() == (Kind.SINGLE, "POST", f"{UPLOADS}?digest={QUOTED}")
    assert talk.sends() == (Kind.SINGLE, 0, SMALL)
    assert talk.answer(201).upload.done
    assert Talk(SMALL + 1).step().kind is Kind.BEGIN


def test_202_to_a_single_post_means_go_on_with_put() -> None:
    talk = Talk(3).begun()
    assert talk.sends() == (Kind.CLOSE, 0, 3)
    assert talk.fail(404)
    talk.absent()
    assert talk.step().kind is Kind.BEGIN  # and nothing on suspicion again


@pytest.mark.parametrize("status", [400, 405, 411, 413, 415])
def test_a_registry_that_refuses_a_single_post_gets_a_plain_one(status: int) -> None:
    talk = Talk(3)
    assert talk.fail(status)
    assert talk.upload.gains == 1  # not the same again
    assert talk.says() == (Kind.BEGIN, "POST", UPLOADS)
    assert not talk.fail(status)


def test_a_single_post_without_an_answer_may_have_arrived() -> None:
    talk = Talk(3).cut()
    assert talk.upload.gains == 0
    assert talk.step().kind is Kind.LOOK
    assert talk.answer(200).upload.done
    assert Talk(3).cut().absent().step().kind is Kind.BEGIN


def test_an_empty_blob_has_a_body_all_the_same() -> None:
    talk = Talk(0)
    assert talk.sends() == (Kind.SINGLE, 0, 0)
    assert talk.begun().sends() == (Kind.CLOSE, 0, 0)
    assert not talk.fail(413)


def test_another_algorithm_is_said_at_the_beginning() -> None:
    talk = Talk()
    talk.digest = Digest("sha512:" + "0" * 128)
    assert talk.says()[2] == f"{UPLOADS}?digest-algorithm=sha512"
    assert talk.begun().says()[2].endswith("?digest=sha512%3A" + "0" * 128)


@pytest.mark.parametrize("status", [404, 400, 500])
def test_a_post_is_repeated_only_when_that_may_help(status: int) -> None:
    talk = Talk()
    assert talk.fail(status, transient=status == 500) == (status == 500)
    assert talk.step().kind is Kind.BEGIN
    assert talk.upload.cancel() is None


def test_a_refused_put_is_the_end_and_can_be_cancelled() -> None:
    talk = Talk().begun()
    assert not talk.fail(400)
    request = talk.upload.cancel()
    assert request is not None
    assert (request.method, request.url) == ("DELETE", SESSION)


# --- Pieces -----------------------------------------------------------------------------------------------------------


def test_413_to_a_put_leads_to_pieces() -> None:
    talk = Talk().begun()
    assert talk.fail(413)
    assert talk.upload.gains == 1
    assert talk.says() == (Kind.ASK, "GET", SESSION)
    talk.answer(404).begun()
    assert talk.sends() == (Kind.PIECE, 0, CHUNK)


def test_pieces_say_where_they_belong_and_go_to_the_newest_location() -> None:
    talk = Talk(CHUNK + 5, chunk=CHUNK).begun()
    assert talk.says() == (Kind.PIECE, "PATCH", SESSION)
    assert ("Content-Range", f"0-{CHUNK - 1}") in talk.step().request.headers
    talk.answer(202, Location=f"{UPLOADS}2?state=x", Range=f"0-{CHUNK - 1}")
    assert talk.says() == (Kind.PIECE, "PATCH", f"{HOST}{UPLOADS}2?state=x")
    assert ("Content-Range", f"{CHUNK}-{CHUNK + 4}") in talk.step().request.headers
    talk.answer(202, Location=f"{HOST}{UPLOADS}3?state=y", Range=f"0-{CHUNK + 4}")
    assert talk.says() == (Kind.CLOSE, "PUT", f"{HOST}{UPLOADS}3?state=y&digest={QUOTED}")
    assert not talk.step().carries
    assert talk.answer(201).upload.done


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (201, "0-0"),  # ECR: accepts with 201, and its Range sticks at the first
        (202, "0-4"),  # Zot: too small
        (202, f"0-{CHUNK - 1}"),  # Aliyun: within the piece
        (204, ""),
    ],
)
def test_a_piece_that_was_accepted_counts_in_full_whatever_range_says(status: int, said: str) -> None:
    talk = Talk(3 * CHUNK, chunk=CHUNK).begun().answer(status, Range=said)
    assert talk.answer(status, Range=said).sends() == (Kind.PIECE, 2 * CHUNK, 3 * CHUNK)
    assert talk.says()[2] == SESSION  # no new Location: the old one is good


def test_a_piece_is_never_shorter_than_the_registry_wants_but_the_last() -> None:
    talk = Talk(3 * CHUNK, chunk=CHUNK).begun(OCI_Chunk_Min_Length=str(CHUNK + 1))
    assert talk.upload.chunk == CHUNK + 1
    assert talk.sends() == (Kind.PIECE, 0, CHUNK + 1)
    talk.answer(202).answer(202)
    assert talk.sends() == (Kind.PIECE, 2 * CHUNK + 2, 3 * CHUNK)


@pytest.mark.parametrize("said", ["", "x", "-1", "1.5", "٣"])
def test_a_least_length_that_is_none_says_nothing(said: str) -> None:
    assert Talk(chunk=CHUNK).begun(OCI_Chunk_Min_Length=said).upload.chunk == CHUNK


def test_what_fits_into_one_piece_is_put() -> None:
    assert Talk(CHUNK, chunk=CHUNK).begun().sends() == (Kind.CLOSE, 0, CHUNK)


def test_a_digest_that_is_not_known_yet_comes_with_the_end() -> None:
    talk = Talk(CHUNK, chunk=CHUNK)
    talk.digest = None
    assert talk.says() == (Kind.BEGIN, "POST", UPLOADS)
    assert talk.begun().sends() == (Kind.PIECE, 0, CHUNK)
    talk.answer(202)
    talk.digest = DIGEST
    assert talk.says() == (Kind.CLOSE, "PUT", f"{SESSION}?digest={QUOTED}")


def test_413_makes_pieces_smaller_until_they_are_small() -> None:
    talk, sizes = Talk(4 * CHUNK, chunk=CHUNK).begun(), []
    while True:
        _, first, last = talk.sends()
        sizes.append(last - first)
        if not talk.fail(413):
            break
        talk.answer(404).begun()
    assert sizes == [max(CHUNK >> shift, 256 << 10) for shift in range(6)]
    assert sizes[-1] == 256 << 10


def test_pieces_get_no_smaller_than_the_registry_wants() -> None:
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun(OCI_Chunk_Min_Length=str(CHUNK))
    assert not talk.fail(413)


def test_416_to_the_first_piece_is_about_its_size() -> None:
    """GHCR says 416 to more than 4 MiB."""
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun()
    assert talk.fail(416)
    assert talk.answer(204, Range="0-0").begun().sends() == (Kind.PIECE, 0, CHUNK // 2)


def test_416_is_about_the_size_when_the_registry_stands_where_the_piece_began() -> None:
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun().answer(202)
    assert talk.fail(416)
    assert talk.says() == (Kind.ASK, "GET", SESSION)
    talk.answer(204, Range=f"0-{CHUNK - 1}", Location=f"{UPLOADS}9")
    assert talk.sends() == (Kind.PIECE, CHUNK, CHUNK + CHUNK // 2)
    assert talk.says()[2] == f"{HOST}{UPLOADS}9"


def test_416_is_about_the_place_when_the_registry_stands_elsewhere() -> None:
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun().answer(202)
    assert talk.fail(416)
    talk.answer(204, Range=f"0-{CHUNK + 9}")
    assert talk.sends() == (Kind.PIECE, CHUNK + 10, 2 * CHUNK + 10)


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_a_cut_put_goes_on_where_the_registry_stands() -> None:
    talk = Talk().begun().cut().absent()
    assert talk.says() == (Kind.ASK, "GET", SESSION)
    talk.answer(204, Range="0-999", Location=f"{UPLOADS}2")
    assert talk.upload.offset == 1000
    assert talk.sends() == (Kind.PIECE, 1000, SIZE)  # the whole rest at once
    talk.answer(202, Location=f"{UPLOADS}3")
    assert talk.says() == (Kind.CLOSE, "PUT", f"{HOST}{UPLOADS}3?digest={QUOTED}")


def test_a_put_whose_answer_was_lost_is_done_when_the_blob_is_there() -> None:
    talk = Talk().begun().cut()
    assert talk.answer(200).upload.done


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_a_look_that_tells_nothing_is_one_that_finds_nothing(status: int) -> None:
    talk = Talk().begun().cut().answer(status)
    assert not talk.upload.done
    assert talk.step().kind is Kind.ASK


def test_a_look_without_an_answer_is_repeated() -> None:
    talk = Talk().begun().cut()
    assert talk.fail(503, transient=True)
    assert not talk.fail(418)
    assert talk.step().kind is Kind.LOOK


def test_all_bytes_there_and_not_closed_is_closed_with_an_empty_put() -> None:
    talk = Talk().begun().cut().absent().answer(204, Range=f"0-{SIZE - 1}")
    assert talk.step().kind is Kind.CLOSE
    assert not talk.step().carries


def test_a_piece_is_not_repeated_before_the_session_was_asked() -> None:
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun().answer(202).cut()
    assert talk.says() == (Kind.ASK, "GET", SESSION)
    assert talk.fail(502, transient=True)
    assert talk.step().kind is Kind.ASK
    talk.answer(204, Range=f"0-{2 * CHUNK - 1}")  # it had arrived: only the answer was lost
    assert talk.sends() == (Kind.PIECE, 2 * CHUNK, 3 * CHUNK)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (204, ""),
        (204, "0-0"),  # one byte, or none
        (204, "junk"),
        (204, "5-9"),
        (204, f"0-{CHUNK - 2}"),  # less than it took before
        (204, f"0-{2 * CHUNK}"),  # more than it was ever sent
        (204, "0-" + "9" * 40),
        (404, "0-9999999"),
        (405, ""),
        (416, ""),
    ],
)
def test_an_answer_that_cannot_be_begins_a_new_session(status: int, said: str) -> None:
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun().answer(202).cut().answer(status, Range=said)
    assert talk.says() == (Kind.BEGIN, "POST", UPLOADS)
    assert talk.upload.offset == 0
    assert talk.begun().sends() == (Kind.PIECE, 0, CHUNK)


def test_range_may_say_bytes() -> None:
    talk = Talk().begun().cut().absent().answer(204, Range="bytes=0-99")
    assert talk.upload.offset == 100


def test_a_lost_session_is_begun_anew() -> None:
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun().answer(202)
    assert talk.fail(404)
    assert talk.says() == (Kind.BEGIN, "POST", UPLOADS)


def test_a_session_that_nobody_knows_may_be_one_that_was_closed() -> None:
    talk = Talk().begun()
    assert talk.fail(404)
    assert talk.step().kind is Kind.LOOK
    assert talk.answer(200).upload.done


def test_what_is_refused_after_an_interruption_is_begun_anew_once() -> None:
    """The registry may have put the pieces together wrongly."""
    talk = Talk().begun().cut().absent().answer(204, Range="0-999").answer(202)
    assert talk.fail(400)
    talk.begun()
    assert talk.sends() == (Kind.CLOSE, 0, SIZE)
    assert not talk.fail(400)


def test_416_to_the_end_of_pieces_asks_what_is_there() -> None:
    talk = Talk(CHUNK + 1, chunk=CHUNK).begun().answer(202).answer(202)
    assert talk.fail(416)
    talk.absent().answer(204, Range=f"0-{CHUNK - 1}")
    assert talk.step().kind is Kind.BEGIN


def test_tries_count_from_the_farthest_byte() -> None:
    talk = Talk(4 * CHUNK, chunk=CHUNK).begun().answer(202).answer(202)
    assert talk.upload.gains == 2
    assert talk.fail(404)
    talk.begun().answer(202).answer(202)
    assert talk.upload.gains == 2
    assert talk.answer(202).upload.gains == 3


# --- Locations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("7", f"{HOST}{UPLOADS}7"),
        ("/x/y?a=b&c=%2F", f"{HOST}/x/y?a=b&c=%2F"),
        (f"{HOST}/x?", f"{HOST}/x?"),
        (f"{HOST}/x#fragment", f"{HOST}/x"),
        ("//registry.example:443/x", f"{HOST}:443/x"),
        ("https://storage.example/x?sig=s", "https://storage.example/x?sig=s"),
        ("http://registry.example/x?y=1", f"{HOST}/x?y=1"),  # behind a proxy that ends TLS
        ("http://registry.example:5000/x", f"{HOST}/x"),
    ],
)
def test_a_location_is_resolved_and_keeps_its_query(location: str, url: str) -> None:
    talk = Talk().begun(Location=location)
    joint = "" if url.endswith("?") else "&" if "?" in url else "?"
    assert talk.says()[2] == f"{url}{joint}digest={QUOTED}"
    assert talk.step().request.cookies == url.startswith(HOST)


def test_a_location_is_resolved_against_where_the_answer_came_from() -> None:
    talk = Talk().answer(202, "https://other.example/deep/down", Location="up")
    assert talk.says()[2].startswith("https://other.example/deep/up?")


@pytest.mark.parametrize(
    ("location", "registry", "words"),
    [
        ("http://elsewhere.example/x", HOST, "from https to http"),
        ("ftp://registry.example/x", HOST, "not a URL"),
        ("https://[::1/x", HOST, "not a URL"),
        ("/x\x1b[0m", HOST, "not a URL"),
        ("https://127.0.0.1/x", HOST, "private network"),
        ("https://localhost/x", HOST, "private network"),
        ("http://a.localhost/x", "http://registry.example", "private network"),
        ("https://169.254.169.254/x", HOST, "private network"),
        ("https://[::1]/x", HOST, "private network"),
        ("https://[fe80::1]:444/x", HOST, "private network"),
        ("https://10.0.0.1/x", "https://8.8.8.8", "private network"),
    ],
)
def test_a_location_that_must_not_be_is_refused(location: str, registry: str, words: str) -> None:
    with pytest.raises(RemoteFault, match=words) as caught:
        Talk(registry=registry).begun(Location=location)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("registry", ["http://127.0.0.1:5000", "http://localhost:5000", "https://10.1.2.3"])
def test_a_registry_of_a_private_network_may_name_another_of_its_addresses(registry: str) -> None:
    location = f"{registry.partition(':')[0]}://127.0.0.1:5001/x"
    assert Talk(registry=registry).begun(Location=location).says()[2].startswith(location)


def test_no_location_is_a_fault_of_the_registry() -> None:
    with pytest.raises(RemoteFault, match="does not say where"):
        Talk().answer(202)


def test_a_failed_upload_tells_no_query_of_a_location() -> None:
    talk = Talk().begun(Location="/x?secret=1")
    assert "secret" not in str(talk.step().request) + repr(talk.step())
