"""Control characters in an OCI image, or in the words of a v2 registry, never reach a stream."""

import json
from pathlib import Path

import pytest

from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.stores.oci_layout import OciLayout
from dockless.testing.contract import put
from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.command import DRIVES_A_TERMINAL, EVIL, TAMED, Ran, call
from tests.graphs import document

CONFIG = {
    "architecture": EVIL,
    "os": EVIL,
    "author": EVIL,
    "created": EVIL,
    "config": {
        "User": EVIL,
        "WorkingDir": EVIL,
        "Entrypoint": [EVIL],
        "Cmd": [EVIL],
        "Env": [EVIL],
        "Labels": {EVIL: EVIL},
        "ExposedPorts": {EVIL: {}},
        "Volumes": {EVIL: {}},
    },
    "rootfs": {"type": "layers", "diff_ids": [EVIL]},
    "history": [{"created": EVIL, "created_by": EVIL}],
}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that is hostile in all it says."""
    store = OciLayout(tmp_path_factory.mktemp("layout"))
    config = put(store, json.dumps(CONFIG).encode(), OCI_CONFIG)
    layers = [put(store, b"a layer", OCI_LAYER)]
    found = document(store, OCI_MANIFEST, config=config, layers=layers, annotations={EVIL: EVIL})
    store.tag(found, "1")
    other = document(store, OCI_MANIFEST, config=config, layers=[], annotations={"vnd.x": EVIL})
    index = store.path / "index.json"
    listed = json.loads(index.read_bytes())
    described = {"mediaType": OCI_MANIFEST, "digest": other.digest, "size": other.size}
    listed["manifests"].append({**described, "annotations": {"org.opencontainers.image.ref.name": EVIL}})
    index.write_text(json.dumps(listed))
    return f"oci:{store.path}"


def tamed(ran: Ran) -> bool:
    return not DRIVES_A_TERMINAL & set(ran.out + ran.err)


@pytest.mark.parametrize("verb", ["tags", "tags -l", "history", "inspect"])
def test_in_a_result_they_are_escaped(capsys: pytest.CaptureFixture[str], image: str, verb: str) -> None:
    ran = call(capsys, *verb.split(), image if verb.startswith("tags") else f"{image}:1")
    assert ran.code == 0
    assert tamed(ran)
    assert TAMED in ran.out


@pytest.mark.parametrize("verb", ["tags", "tags -l", "manifest", "config", "history", "inspect", "validate"])
def test_in_json_they_are_escaped_and_not_lost(capsys: pytest.CaptureFixture[str], image: str, verb: str) -> None:
    ran = call(capsys, *verb.split(), image if verb.startswith("tags") else f"{image}:1", "--json")
    assert tamed(ran)
    assert ran.code in {0, 5}
    if verb != "validate":
        assert EVIL in ran.out.encode().decode("unicode_escape")


@pytest.mark.parametrize("fact", ["Created", "Author", "User", "Directory", "Entrypoint", "Variable", "Label", "Port"])
def test_each_fact_of_inspect_is_escaped(capsys: pytest.CaptureFixture[str], image: str, fact: str) -> None:
    (line,) = [line for line in call(capsys, "inspect", f"{image}:1").out.splitlines() if line.startswith(fact)]
    assert line.endswith(TAMED)


def test_in_what_is_wrong_they_are_escaped(capsys: pytest.CaptureFixture[str], image: str) -> None:
    ran = call(capsys, "validate", f"{image}:1")
    assert ran.code == 5
    assert tamed(ran)
    assert TAMED in ran.out


def test_a_tag_that_is_hostile_cannot_be_copied_over_by_accident(
    capsys: pytest.CaptureFixture[str], image: str, tmp_path: Path
) -> None:
    ran = call(capsys, "copy", f"{image}:{EVIL}", f"oci:{tmp_path / 'x'}")
    assert ran.code == 2
    assert tamed(ran)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 429, 500])
@pytest.mark.parametrize("verb", ["tags HOST/a", "digest HOST/a:1", "manifest HOST/a:1", "copy oci:nope HOST/a:1"])
def test_in_the_words_of_a_registry_they_are_escaped(
    capsys: pytest.CaptureFixture[str], verb: str, status: int
) -> None:
    words = {"errors": [{"code": EVIL, "message": EVIL, "detail": {EVIL: EVIL}}]}
    headers = (("Retry-After", "3600"), ("WWW-Authenticate", 'Bearer realm="\x9b",service="\x9b"'))
    with Peer() as peer:
        reply = json_reply(words, status, headers=headers)
        for path in ("/v2/a/tags/list", "/v2/a/manifests/1"):
            for method in ("GET", "HEAD"):
                peer.on(path, reply, method=method)
        ran = call(capsys, *verb.replace("HOST", peer.host).split(), "--retries", "0", "-vv")
    assert ran.code > 0
    assert tamed(ran)


@pytest.mark.parametrize(
    "reply",
    [
        json_reply({"name": "a", "tags": [EVIL, "good"]}),
        json_reply({"name": "a", "tags": EVIL}),
        Reply(body=EVIL.encode()),
        Reply(body=b"{}", headers=(("Link", "<\x1b[5m>; rel=next"),)),
        json_reply({"tags": ["good"]}, headers=(("Warning", '299 - "\x1b[5m"'),)),
    ],
    ids=["a tag", "a type", "no JSON", "a link", "a warning"],
)
def test_what_a_registry_lists_does_not_get_through(capsys: pytest.CaptureFixture[str], reply: Reply) -> None:
    with Peer() as peer:
        peer.on("/v2/a/tags/list", reply)
        ran = call(capsys, "tags", f"{peer.host}/a", "--retries", "0", "-vv")
    assert tamed(ran)
