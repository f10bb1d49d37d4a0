"""Control characters of a server never reach a stream: they are escaped, in results, notes and errors."""

import json
from pathlib import Path

import pytest

from dockless.testing.images import MadeImage
from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.command import DRIVES_A_TERMINAL, EVIL, TAMED, Ran, at, call, registry
from tests.scripted import NAME, layer, layer_path, one_layer

SAYS = {
    "author": EVIL,
    "created": EVIL,
    "architecture": EVIL,
    "os": EVIL,
    "container_config": {"Cmd": ["sh", EVIL]},
    "config": {
        "User": EVIL,
        "WorkingDir": EVIL,
        "Entrypoint": [EVIL],
        "Cmd": EVIL,
        "Env": [EVIL],
        "Labels": {EVIL: EVIL},
        "ExposedPorts": {EVIL: {}},
        "Volumes": {EVIL: {}},
    },
}
INDEX = f"/v1/repositories/{NAME}/images"
TAGS = f"/v1/repositories/{NAME}/tags"


def hostile(peer: Peer) -> MadeImage:
    """Let everything that the peer says be hostile, and return its image."""
    plain = one_layer(1000)
    image = MadeImage(plain.id, json.dumps(SAYS, ensure_ascii=False).encode(), plain.layer)
    peer.on(f"/v1/images/{image.id}/json", Reply(body=image.raw))
    peer.on(TAGS, json_reply({"latest": image.id, EVIL: image.id, "evil": EVIL}))
    peer.on("/v1/search", json_reply({"results": [{"name": EVIL, "description": EVIL}]}))
    return image


def tamed(ran: Ran) -> bool:
    return not DRIVES_A_TERMINAL & set(ran.out + ran.err)


def said(capsys: pytest.CaptureFixture[str], verb: str, *flags: str) -> Ran:
    with registry(one_layer(1000)) as peer:
        hostile(peer)
        return call(capsys, *verb.replace("AT", at(peer)).replace("HOST", peer.host).split(), *flags)


@pytest.mark.parametrize("verb", ["tags AT", "history AT", "inspect AT", "search HOST"])
def test_in_a_result_they_are_escaped(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    ran = said(capsys, verb)
    assert ran.code == 0
    assert tamed(ran)
    assert TAMED in ran.out


@pytest.mark.parametrize("verb", ["tags AT", "history AT", "config AT", "inspect AT", "search HOST"])
def test_in_json_they_are_escaped_and_not_lost(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    ran = said(capsys, verb, "--json")
    assert ran.code == 0
    assert tamed(ran)
    assert EVIL in ran.out.encode().decode("unicode_escape")


@pytest.mark.parametrize(
    "fact", ["Created", "Author", "User", "Directory", "Entrypoint", "Command", "Variable", "Port", "Volume"]
)
def test_each_fact_of_inspect_is_escaped(capsys: pytest.CaptureFixture[str], fact: str) -> None:
    (line,) = [line for line in said(capsys, "inspect AT").out.splitlines() if line.startswith(fact)]
    assert line.endswith(f"  {TAMED}")


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("tags AT", INDEX),
        ("tags AT", TAGS),
        ("blob AT -o -", layer_path(one_layer(1000))),
        ("ping v1:HOST", "/v1/_ping"),
        ("search HOST", "/v1/search"),
    ],
)
@pytest.mark.parametrize("status", [401, 403, 404, 418, 429, 500])
def test_in_the_words_of_an_error_they_are_escaped(
    capsys: pytest.CaptureFixture[str], verb: str, path: str, status: int
) -> None:
    with registry(one_layer(1000)) as peer:
        peer.on(path, json_reply({"error": EVIL}, status, headers=(("Retry-After", "3600"),)))
        line = verb.replace("AT", at(peer)).replace("HOST", peer.host)
        ran = call(capsys, *line.split(), "--retries", "0", "-vv")
    assert ran.code > 0
    assert tamed(ran)
    if status != 429:
        assert TAMED in ran.err


def test_in_the_words_of_another_try_they_are_escaped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = one_layer(1000)
    with registry(image) as peer:
        layer(peer, image, json_reply({"error": EVIL}, 503), Reply(body=image.layer))
        ran = call(capsys, "blob", at(peer), "-o", str(tmp_path / "layer"))
    assert ran.code == 0
    assert f"HTTP 503 - {TAMED}" in ran.err
    assert tamed(ran)


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        ("digest AT", json_reply({"latest": EVIL})),
        ("digest AT", json_reply({EVIL: [EVIL]})),
        ("tags AT", Reply(body=EVIL.encode())),
        ("tags AT", Reply(raw=EVIL.encode())),
        ("tags AT", Reply(raw=b"HTTP/1.1 200 \x1b[5m\r\nContent-Length: 2\r\n\r\n{}")),
        ("tags AT", Reply(raw=b"HTTP/1.1 200 OK\r\nX: \x1b[5m\r\nContent-Length: 2\r\n\r\n{}")),
    ],
    ids=["an id", "a type", "no JSON", "no HTTP", "a reason", "a header"],
)
def test_in_what_is_no_document_they_do_not_get_through(
    capsys: pytest.CaptureFixture[str], verb: str, reply: Reply
) -> None:
    with registry(one_layer(1000)) as peer:
        peer.on(TAGS, reply)
        ran = call(capsys, *verb.replace("AT", at(peer)).split(), "--retries", "0", "-vv")
    assert tamed(ran)


@pytest.mark.parametrize(
    "location",
    [f"v1:h/{EVIL}", f"v1:h/a:{EVIL}", f"v1:{EVIL}/a", f"v1:h/a@{EVIL}", f"oci:{EVIL}", EVIL],
    ids=["a name", "a tag", "a host", "an id", "a path", "a reference"],
)
def test_a_location_that_was_pasted_cannot_either(capsys: pytest.CaptureFixture[str], location: str) -> None:
    ran = call(capsys, "tags", location)
    assert ran.code in {1, 2}
    assert tamed(ran)


def test_text_that_drives_nothing_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    words = "日本 [bold]é[/] 👋"
    with Peer() as peer:
        peer.on("/v1/search", json_reply({"results": [{"name": "a/b", "description": words}]}))
        assert call(capsys, "search", peer.host).out == f"a/b  {words}\n"
