"""What -vv, and any traceback, tells: nothing that is secret, and nothing that drives a terminal."""

import traceback
from contextlib import closing
from pathlib import Path

import pytest

from dockless.model.errors import DocklessError
from dockless.net.session import Session
from dockless.stores.oci_layout import OciLayout
from dockless.testing.peer import Peer, Reply, redirect
from dockless.wire.http import Request, body_of
from tests.faces.command import DRIVES_A_TERMINAL, call
from tests.graphs import image_for
from tests.scripted import QUICK

CANARY = "s3cret-signature"
GARBAGE = b"\x1b[31mHTTP\x9b5m\r\n\r\n"
FAULTS = {
    "dropped": Reply(drop=True),
    "stalled": Reply(stall_after=-1),
    "garbage": Reply(raw=GARBAGE),
    "refused": Reply(status=403, body=b'{"errors":[{"code":"DENIED","message":"no"}]}'),
    "dead": redirect(f"http://127.0.0.1:1/x?X-Amz-Signature={CANARY}"),
    "elsewhere": redirect(f"ftp://127.0.0.1:1/x?X-Amz-Signature={CANARY}"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_signed_url_is_in_no_traceback(method: str, fault: str) -> None:
    with Peer() as peer, closing(Session(QUICK)) as session:
        peer.on("/x", FAULTS[fault], method=method)
        body = body_of(b"abc") if method == "PUT" else None
        request = Request(f"{peer.url}/x?X-Amz-Signature={CANARY}", method=method, body=body)
        with pytest.raises(DocklessError) as raised:
            session.exchange(request).read(1 << 20)
        assert peer.requests
    told = "".join(traceback.format_exception(raised.value))
    assert CANARY not in told
    assert "/x" in told or "127.0.0.1" in told


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_credential_that_cannot_be_sent_is_in_no_traceback(method: str) -> None:
    body = body_of(b"abc") if method == "PUT" else None
    with Peer() as peer, closing(Session(QUICK)) as session:
        request = Request(f"{peer.url}/x", (("Authorization", f"Bearer {CANARY}\nX: y"),), method=method, body=body)
        with pytest.raises(DocklessError) as raised:
            session.exchange(request)
    assert CANARY not in "".join(traceback.format_exception(raised.value))


def test_a_traceback_does_not_drive_a_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "layout")
    layout.tag(image_for(layout, "linux/amd64"), "1")
    with Peer() as peer:
        for path in ("/v2/a/blobs/uploads/", "/v2/a/manifests/1"):
            for method in ("PUT", "POST"):
                peer.on(path, Reply(raw=GARBAGE), method=method)
        ran = call(capsys, "push", f"oci:{layout.path}:1", f"{peer.host}/a:1", "--retries", "0", "-vv")
        assert "raw answer" in peer.faults
    assert ran.code == 6
    assert "Traceback" in ran.err
    assert len(ran.err.splitlines()) > 5
    assert not DRIVES_A_TERMINAL & set(ran.out + ran.err)


@pytest.mark.parametrize(
    "location",
    [
        f"https://ann:{CANARY}@reg.example/app:1",
        f"docker://ann:{CANARY}@reg.example/app:1",
        f"ann:{CANARY}@reg.example/app:1",
        f"v1:ann:{CANARY}@reg.example/app:1",
        f"v1:https://ann:{CANARY}@reg.example/app:1",
    ],
)
@pytest.mark.parametrize("verb", ["tags", "pull", "ping", "inspect"])
def test_a_password_in_a_location_is_not_told(capsys: pytest.CaptureFixture[str], verb: str, location: str) -> None:
    ran = call(capsys, verb, location, "-vv")
    assert ran.code == 2
    assert CANARY not in ran.out + ran.err
    assert "reg.example" in ran.err
