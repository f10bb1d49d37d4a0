"""`dockless serve` over OCI layouts and memory, as a process."""

import http.client
from pathlib import Path

import pytest

from tests.faces.command import call
from tests.faces.test_cli_server import Serving, serving
from tests.pushing import LAYER, digest


def asked(server: Serving, method: str, path: str, body: bytes = b"") -> int:
    connection = http.client.HTTPConnection(server.host, timeout=10)
    connection.request(method, path, body)
    status = connection.getresponse().status
    connection.close()
    return status


def pushed(server: Serving, content: bytes) -> int:
    return asked(server, "POST", f"/v2/library/demo/blobs/uploads/?digest={digest(content)}", content)


def test_what_is_pushed_is_a_layout_below_the_directory(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert server.status("/v1/_ping") == server.status("/v2/") == 200
        assert pushed(server, LAYER) == 201
    home = tmp_path / "library" / "demo"
    assert (home / "blobs" / digest(LAYER).replace(":", "/")).read_bytes() == LAYER
    with serving(tmp_path, "--read-only") as server:
        assert server.status(f"/v2/library/demo/blobs/{digest(LAYER)}") == 200
        assert pushed(server, LAYER) == 405


def test_memory_leaves_nothing(tmp_path: Path) -> None:
    with serving(tmp_path, "--memory") as server:
        assert server.said.startswith("serving what is pushed at ")
        assert pushed(server, LAYER) == 201
        assert server.status(f"/v2/library/demo/blobs/{digest(LAYER)}") == 200
    assert list(tmp_path.iterdir()) == []


def test_max_blob_is_in_mebibytes(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-blob", "1") as server:
        assert pushed(server, bytes(1 << 20)) == 201
        assert pushed(server, bytes((1 << 20) + 1)) == 413


def test_basic_guards_v2(tmp_path: Path) -> None:
    with serving(tmp_path, "--basic", "me:s3cret") as server:
        assert server.status("/v2/") == 401
        assert server.status("/v2/", Authorization="Basic bWU6czNjcmV0") == 200


def test_one_layout_is_no_root(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_bytes(b"{}")
    code, out, err = call(capsys, "serve", str(tmp_path))
    assert (code, out) == (1, "")
    assert "is one layout" in err
    assert "the directory above it" in err
