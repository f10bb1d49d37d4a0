"""What the client this began from does, against a peer that answers by script."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from dockless import v1
from dockless.model.errors import DocklessError, InvalidDocument, InvalidReference, NetworkFault, NotFound, RemoteFault
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Reply, json_reply, redirect
from tests.scripted import NAME, QUICK, endpoint, index

IMAGES = make_image({"a": b"1"}, {"b": b"2"}, {"c": b"3"})
TOP = IMAGES[0]
INDEX_PATH = f"/v1/repositories/{NAME}/images"
TAGS_PATH = f"/v1/repositories/{NAME}/tags"
DEAD = "127.0.0.1:1"  # nobody listens there


def opened(peer: Peer, *, settings: v1.Settings = QUICK) -> v1.Image:
    return v1.get_image(NAME, peer.url, settings=settings)


class TestGetImage:
    def test_the_default_index_is_docker_hub(self) -> None:
        assert v1.DOCKER_HUB == "https://index.docker.io"

    def test_an_empty_name_is_refused_before_any_request(self) -> None:
        with Peer() as peer:
            with pytest.raises(InvalidReference, match="empty"):
                v1.get_image("", peer.url, settings=QUICK)
            assert peer.connections == 0

    @pytest.mark.parametrize("name", ["../etc", "a/../b", "a b", "a%2fb", "a?x", "a#x", "a\nb", "/a", "a/", "a//b"])
    def test_a_name_that_would_change_the_url_is_refused_before_any_request(self, name: str) -> None:
        with Peer() as peer:
            with pytest.raises(InvalidReference):
                v1.get_image(name, peer.url, settings=QUICK)
            assert peer.connections == 0

    @pytest.mark.parametrize(
        "url", ["index.example", "ftp://h", "http://", "http://h:99999", "http://h:x", "http://a b", "http://h?q=1"]
    )
    def test_a_malformed_url_is_refused(self, url: str) -> None:
        with pytest.raises(InvalidReference):
            v1.get_image(NAME, url, settings=QUICK)

    def test_the_index_is_asked_for_a_token(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP)
            with opened(peer) as image:
                assert image.status == 200
                assert image.name == NAME
            asked = peer.requests[0]
            assert (asked.method, asked.target, asked.header("X-Docker-Token")) == ("GET", INDEX_PATH, "true")

    def test_a_path_in_the_index_url_is_kept(self) -> None:
        with Peer() as peer:
            peer.on("/prefix" + INDEX_PATH, json_reply([], headers=(("X-Docker-Endpoints", peer.host),)))
            endpoint(peer, TOP)
            with v1.get_image(NAME, peer.url + "/prefix/", settings=QUICK) as image:
                assert image.tags() == ["latest"]

    def test_404_is_not_found_and_names_the_image(self) -> None:
        with Peer() as peer:
            peer.on(INDEX_PATH, json_reply({"error": "images not found"}, 404))
            with pytest.raises(NotFound, match=f"image {NAME} not found.*images not found") as caught:
                opened(peer)
            assert caught.value.status == 404

    @pytest.mark.parametrize(
        ("status", "body", "words"),
        [
            (500, b'{"error": "no disk"}', "HTTP 500 - no disk"),
            (418, b"<html>tea</html>", "HTTP 418"),
            (204, b"", "204"),
        ],
    )
    def test_any_other_status_is_an_error_with_status_and_words(self, status: int, body: bytes, words: str) -> None:
        with Peer() as peer:
            peer.on(INDEX_PATH, Reply(status, body))
            with pytest.raises(RemoteFault, match=words) as caught:
                opened(peer)
            assert caught.value.status == status
            assert "<html>" not in str(caught.value)

    @pytest.mark.parametrize("headers", [(), (("X-Docker-Endpoints", ""),), (("X-Docker-Endpoints", " , ,"),)])
    def test_no_endpoints_is_an_error_that_carries_the_status(self, headers: tuple[tuple[str, str], ...]) -> None:
        with Peer() as peer:
            peer.on(INDEX_PATH, json_reply([], headers=headers))
            with pytest.raises(InvalidDocument, match="no endpoints") as caught:
                opened(peer)
            assert caught.value.status == 200

    def test_user_and_password_in_the_url_become_basic_credentials(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP)
            with v1.get_image(NAME, f"http://me:s3cret@{peer.host}", settings=QUICK):
                pass
            assert peer.requests[0].header("Authorization") == "Basic bWU6czNjcmV0"
            assert peer.requests[1].header("Authorization") is None  # plain http: not to the endpoint


class TestTokenAndEndpoints:
    @pytest.mark.parametrize(
        ("token", "sent"),
        [
            (
                'signature=A,repository="library/demo",access=read',
                'Token signature=A,repository="library/demo",access=read',
            ),
            ("Token signature=A", "Token signature=A"),
            ("token signature=A", "token signature=A"),
        ],
    )
    def test_the_token_is_sent_and_never_doubled(self, token: str, sent: str) -> None:
        with Peer() as peer:
            index(peer, token=token)
            endpoint(peer, TOP)
            with opened(peer) as image:
                assert image.authorization_header == sent
                image.history("latest")
            assert {request.header("Authorization") for request in peer.requests[1:]} == {sent}

    def test_without_a_token_no_authorization_is_sent(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP)
            with opened(peer) as image:
                assert image.authorization_header == ""
            assert all(request.header("Authorization") is None for request in peer.requests)

    def test_endpoints_come_from_several_headers_trimmed_and_in_order(self) -> None:
        with Peer() as peer:
            named = (("X-Docker-Endpoints", f" {peer.host} ,b.example:81"), ("X-Docker-Endpoints", "c.example"))
            peer.on(INDEX_PATH, json_reply([], headers=named))
            endpoint(peer, TOP)
            with opened(peer) as image:
                assert image.layer_urls(TOP.id) == [
                    f"http://{host}/v1/images/{TOP.id}/layer" for host in (peer.host, "b.example:81", "c.example")
                ]


class TestCookies:
    def test_the_indexs_cookies_go_to_the_hosts_they_belong_to(self) -> None:
        with Peer() as peer:
            index(peer, headers=(("Set-Cookie", "session=abc; Path=/v1"), ("Set-Cookie", "x=1; Path=/other")))
            endpoint(peer, TOP)
            with opened(peer) as image:
                assert image.cookie(f"{peer.url}/v1/images") == "session=abc"
                assert image.cookie("http://elsewhere.example/v1/") == ""
            assert peer.requests[0].header("Cookie") is None
            assert peer.requests[1].header("Cookie") == "session=abc"

    def test_what_is_not_a_cookie_is_left(self) -> None:
        with Peer() as peer:
            index(peer, headers=(("Set-Cookie", "=;;"), ("Set-Cookie", "a=1; Domain=elsewhere.example")))
            endpoint(peer, TOP)
            with opened(peer) as image:
                assert image.cookie(peer.url) == ""
                assert image.cookie("http://elsewhere.example/") == ""


class TestTags:
    def test_they_come_from_the_endpoints_not_from_the_index(self) -> None:
        with Peer() as one, Peer() as other:
            index(one, other.host)
            one.on(TAGS_PATH, json_reply({"short": "12345678"}))
            endpoint(other, TOP, tags={"1.0": TOP.id, "latest": TOP.id})
            with opened(one) as image:
                assert sorted(image.tags()) == ["1.0", "latest"]
                assert image.tag_ids() == {"1.0": TOP.id, "latest": TOP.id}

    def test_an_unknown_tag_is_not_found_and_names_tag_and_image(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP)
            with opened(peer) as image:
                assert image.tag_layer_id("latest") == TOP.id
                for call in (image.tag_layer_id, image.metadata, image.history):
                    with pytest.raises(NotFound, match=f"'9.9' not found for image {NAME}"):
                        call("9.9")

    def test_a_tag_without_an_image_is_no_tag(self) -> None:
        with Peer() as peer:
            index(peer)
            peer.on(TAGS_PATH, Reply(body=b'{"a+b": null, "ok": "%s"}' % TOP.id.encode()))
            with opened(peer) as image:
                assert image.tags() == ["ok"]

    @pytest.mark.parametrize("bad", ["../../etc/passwd", "A" * 64, "12345678", "x" * 64, "a" * 64 + "\n"])
    def test_an_id_that_is_none_reaches_no_url(self, bad: str) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP, tags={"latest": bad})
            with opened(peer) as image:
                before = len(peer.requests)
                for call in (image.history, image.metadata):
                    with pytest.raises(InvalidDocument, match="no image id"):
                        call("latest")
                for by_id in (image.ancestry, image.layer_urls, image.layer_reader, image.metadata_bytes):
                    with pytest.raises(InvalidReference):
                        by_id(bad)
                with pytest.raises(InvalidReference):
                    image.download(bad, "never")
                assert len(peer.requests) == before
            assert not Path("never").exists()


class OwnStruct(msgspec.Struct):
    author: str
    architecture: str = ""


@dataclasses.dataclass
class OwnDataclass:
    author: str


class TestMetadata:
    def test_it_decodes_into_what_the_caller_names(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, *IMAGES)
            with opened(peer) as image:
                author = "The dockless tests <nobody@example.com>"
                assert image.metadata("latest", OwnStruct) == OwnStruct(author, "amd64")
                assert image.metadata("latest", OwnDataclass) == OwnDataclass(author)
                assert image.metadata("latest", dict)["container_config"]["Memory"] == 0

    def test_our_own_type_keeps_the_raw_bytes(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, *IMAGES)
            with opened(peer) as image:
                document = image.metadata("latest")
                assert document.id == TOP.id
                assert document.parent == IMAGES[1].id
                assert document.config is not None
                assert document.config.cmd == ["world"]
                assert document.raw == TOP.raw == image.metadata_bytes(TOP.id)
                assert b"MacAddress" in document.raw  # has no field of its own

    def test_json_of_another_type_is_an_error_that_says_where(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, *IMAGES)
            with opened(peer) as image, pytest.raises(InvalidDocument, match=r"Expected `list`|Expected `array`"):
                image.metadata("latest", list)


class TestHistory:
    def test_it_goes_from_the_image_down_to_the_base(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, *IMAGES)
            with opened(peer) as image:
                assert image.history("latest") == [one.id for one in IMAGES]
                assert image.ancestry(IMAGES[1].id) == [one.id for one in IMAGES[1:]]

    def test_a_cycle_is_refused(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, *IMAGES)
            peer.on(f"/v1/images/{TOP.id}/ancestry", json_reply([TOP.id, IMAGES[1].id, TOP.id]))
            with opened(peer) as image, pytest.raises(InvalidDocument, match="cycle"):
                image.history("latest")


class TestFailOver:
    """The first success wins, whatever went wrong before it."""

    @pytest.mark.parametrize(
        ("reply", "fault"),
        [
            (Reply(500, b"<html>"), None),
            (Reply(503), None),
            (Reply(404, b'{"error": "Repository not found"}'), None),
            (Reply(401), None),
            (Reply(429), None),
            (Reply(200, b"<html>login</html>"), None),
            (Reply(200, b'{"a": ["not", "an", "id"]}'), None),
            (Reply(drop=True), "closed before answer"),
            (Reply(body=b"{}" * 50, cut_after=3), "cut after 3"),
            (Reply(body=b"{}" * 50, cut_after=3, reset=True), "reset after 3"),
            (Reply(stall_after=-1), "stall before answer"),
            (Reply(body=b"{}" * 50, stall_after=3), "stall after 3"),
            (Reply(raw=b"SSH-2.0-OpenSSH_9\r\n"), "raw answer"),
        ],
    )
    def test_the_next_endpoint_is_asked(self, reply: Reply, fault: str | None) -> None:
        with Peer() as bad, Peer() as good:
            index(good, bad.host, good.host)
            bad.on(TAGS_PATH, reply)
            endpoint(good, TOP)
            with opened(good) as image:
                assert image.tags() == ["latest"]
            assert [request.path for request in bad.requests][:1] == [TAGS_PATH]
            assert fault is None or fault in bad.faults

    def test_a_dead_endpoint_costs_once_and_is_remembered(self) -> None:
        with Peer() as slow, Peer() as good:
            index(good, slow.host, good.host)
            slow.on(TAGS_PATH, Reply(stall_after=-1))
            endpoint(good, *IMAGES)
            with opened(good) as image:
                image.history("latest")
                image.metadata("latest")
            assert len(slow.requests) == 1

    def test_a_refused_connection(self) -> None:
        with Peer() as good:
            index(good, DEAD, good.host)
            endpoint(good, TOP)
            with opened(good) as image:
                assert image.tags() == ["latest"]

    def test_if_all_fail_one_error_lists_each_with_its_own_cause(self) -> None:
        with Peer() as one, Peer() as two, Peer() as three:
            index(one, one.host, two.host, three.host, DEAD)
            one.on(TAGS_PATH, json_reply({"error": "no such thing"}, 404))
            two.on(TAGS_PATH, Reply(502, b"<html>bad gateway</html>"))
            three.on(TAGS_PATH, Reply(stall_after=-1))
            with pytest.raises(RemoteFault) as caught:
                opened(one)
            text = str(caught.value)
            assert "HTTP 404 - no such thing" in text
            assert f"{two.url}{TAGS_PATH}: HTTP 502" in text
            assert f"{three.host}: nothing came for 1 s" in text
            assert "refused" in text
            assert [place for place, _ in caught.value.causes] == [one.url, two.url, three.url, f"http://{DEAD}"]
            assert "stall before answer" in three.faults

    def test_404_everywhere_is_not_found_at_once(self) -> None:
        with Peer() as one, Peer() as two:
            index(one, one.host, two.host)
            with pytest.raises(NotFound):
                opened(one)
            assert len(two.requests) == 1

    def test_a_second_round_follows_when_it_may_help(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP)
            peer.on(TAGS_PATH, Reply(503), Reply(drop=True), json_reply({"late": TOP.id}))
            with opened(peer) as image:
                assert image.tags() == ["late"]

    def test_the_tries_are_bounded(self) -> None:
        with Peer() as peer:
            index(peer)
            peer.on(TAGS_PATH, Reply(500))
            with pytest.raises(RemoteFault):
                opened(peer)
            assert len([request for request in peer.requests if request.path == TAGS_PATH]) == QUICK.retry.attempts


class TestConnections:
    def test_they_are_reused(self) -> None:
        with Peer() as peer:
            index(peer)
            endpoint(peer, *IMAGES)
            with opened(peer) as image:
                for _ in range(10):
                    image.metadata("latest")
            assert len(peer.requests) >= 12
            assert peer.connections == 1

    def test_a_stale_one_costs_a_silent_repeat(self) -> None:
        once = msgspec.structs.replace(QUICK, retry=v1.RetryPolicy(attempts=1))
        events: list[object] = []
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP)
            stale = Reply(body=TOP.raw, close_on_next=True)
            peer.on(f"/v1/images/{TOP.id}/json", stale)
            with v1.get_image(NAME, peer.url, settings=once, observe=events.append) as image:
                for _ in range(4):
                    assert image.metadata("latest").id == TOP.id
            assert peer.faults.count("closed on next request") == 2  # the repeat of each went over a fresh one
        assert events == []

    def test_one_that_the_server_closed_meanwhile_costs_nothing(self) -> None:
        once = msgspec.structs.replace(QUICK, retry=v1.RetryPolicy(attempts=1))
        with Peer() as peer:
            index(peer)
            endpoint(peer, TOP)
            peer.on(f"/v1/images/{TOP.id}/json", Reply(body=TOP.raw, close=True))
            with opened(peer, settings=once) as image:
                for _ in range(5):
                    assert image.metadata("latest").id == TOP.id
            assert peer.faults.count("closed unannounced") == 5


class TestLimits:
    def test_a_json_body_over_8_mib_is_refused(self) -> None:
        with Peer() as peer:
            index(peer)
            peer.on(TAGS_PATH, Reply(body=b" ", endless=True))
            with pytest.raises(RemoteFault, match="longer than 8388608 bytes"):
                opened(peer)
            assert "endless" in peer.faults

    def test_an_endless_error_body_costs_64_kib_and_keeps_the_status(self) -> None:
        with Peer() as peer:
            peer.on(INDEX_PATH, Reply(403, b"x" * 1024, endless=True))
            with pytest.raises(DocklessError) as caught:
                opened(peer)
            assert caught.value.status == 403
            assert len(str(caught.value)) < 500

    @pytest.mark.parametrize(("padding", "read"), [(60 << 10, True), (64 << 10, False)])
    def test_of_an_error_body_64_kib_are_read(self, padding: int, read: bool) -> None:
        with Peer() as peer:
            peer.on(INDEX_PATH, Reply(418, b'{"error": "words"' + b" " * padding + b"}"))
            with pytest.raises(RemoteFault) as caught:
                opened(peer)
            assert ("words" in str(caught.value)) == read

    def test_words_of_a_server_cannot_drive_a_terminal(self) -> None:
        with Peer() as peer:
            peer.on(INDEX_PATH, json_reply({"error": "\x1b]0;owned\x07\u202e"}, 500))
            with pytest.raises(RemoteFault) as caught:
                opened(peer)
            assert "\\x1b]0;owned\\x07\\u202e" in str(caught.value)

    def test_a_redirect_loop_ends_at_ten_hops(self) -> None:
        with Peer() as peer:
            peer.on(INDEX_PATH, redirect(peer.url + INDEX_PATH))
            with pytest.raises(RemoteFault, match="more than 10 redirects"):
                opened(peer)
            assert len(peer.requests) == 11


def test_ping_and_search() -> None:
    with Peer() as peer:
        peer.on(
            "/v1/_ping",
            json_reply({}, headers=(("X-Docker-Registry-Standalone", "False"), ("X-Docker-Registry-Version", "0.6.9"))),
        )
        assert v1.ping(peer.url, settings=QUICK) == v1.Ping(standalone=False, version="0.6.9")

        def page(number: int) -> Reply:
            names = [{"name": f"library/p{number}-{one}", "star_count": number} for one in range(3)]
            return json_reply({"num_pages": 3, "page": number, "results": names})

        peer.on("/v1/search", page(1), page(2), page(3), page(4))
        found = [result.name for result in v1.search("p", peer.url, settings=QUICK)]
        assert found == [f"library/p{number}-{one}" for number in (1, 2, 3) for one in range(3)]
        assert [request.target for request in peer.requests if request.path == "/v1/search"] == [
            f"/v1/search?q=p&n=100&page={number}" for number in (1, 2, 3)
        ]


def test_no_v1_at_all_is_not_found() -> None:
    with Peer() as peer, pytest.raises(NotFound):
        v1.ping(peer.url, settings=QUICK)


def test_a_search_that_ignores_pages_ends() -> None:
    with Peer() as peer:
        peer.on("/v1/search", json_reply({"num_pages": 1000, "results": [{"name": "same"}]}))
        assert [result.name for result in v1.search("", peer.url, settings=QUICK)] == ["same"]
        assert len(peer.requests) == 2


def test_retry_after_is_a_lower_bound_and_a_long_one_ends_the_trying() -> None:
    with Peer() as peer:
        index(peer)
        endpoint(peer, TOP)
        peer.on(TAGS_PATH, Reply(429, headers=(("Retry-After", "1"),)), json_reply({"latest": TOP.id}))
        waits: list[float] = []

        def observe(event: object) -> None:
            waits.append(event.pause)  # type: ignore[attr-defined]

        with v1.get_image(NAME, peer.url, settings=QUICK, observe=observe):
            assert waits == [1.0]
        peer.on(TAGS_PATH, Reply(429, headers=(("Retry-After", "3600"),)))
        with pytest.raises(DocklessError, match="429") as caught:
            opened(peer)
        assert "3600" in caught.value.hint
        assert caught.value.exit_code == 6


def test_an_unreachable_index_is_a_network_fault_with_a_hint() -> None:
    with pytest.raises(NetworkFault, match=r"127\.0\.0\.1:1: .*refused") as caught:
        v1.get_image(NAME, f"http://{DEAD}", settings=QUICK)
    assert "reachable" in caught.value.hint
