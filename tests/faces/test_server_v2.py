"""The embedded registry over v2: what all of its routes have in common."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from dockless.faces.server.v2 import V2Options
from dockless.model.errors import LocalFault
from dockless.model.media_types import OCI_MANIFEST
from dockless.stores.base import Repository
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import LayoutRoot, MemoryRepositories
from tests.asking import ask
from tests.memory_images import MemoryImages
from tests.pushing import LAYER, begin, codes, digest, manifest, put_blob, put_image

DIGEST = digest(b"")
PATHS = [
    "/v2/",
    "/v2/_catalog",
    "/v2/none/tags/list",
    f"/v2/none/referrers/{DIGEST}",
    f"/v2/none/blobs/{DIGEST}",
    "/v2/none/manifests/latest",
    "/v2/none/blobs/uploads/x",
    "/v2/nothing",
]


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_says_which_version_it_speaks(registry: EmbeddedRegistry, path: str, method: str) -> None:
    answer = ask(registry, path, method)
    assert (answer.status, answer.body) == (200, b"{}" if method == "GET" else b"")
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", PATHS[2:])
def test_a_repository_that_is_not_there(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path)
    if "/referrers/" in path:
        assert answer.status == 200
    else:
        assert (answer.status, codes(answer)) in [(404, ["NAME_UNKNOWN"]), (404, ["BLOB_UPLOAD_UNKNOWN"])]
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "a//b",
        "-a",
        "a/..",
        "a/../b",
        "%2e%2e/a",
        "a/%2E%2E/b",
        "a%00",
        "_a",
        "a.",
        "a__b__",
        "x" * 256,
        "a/./b",
        "é",
    ],
)
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", "tags/list"),
        ("GET", f"blobs/{DIGEST}"),
        ("DELETE", f"blobs/{DIGEST}"),
        ("POST", "blobs/uploads/"),
        ("GET", "manifests/latest"),
        ("PUT", "manifests/latest"),
        ("GET", f"referrers/{DIGEST}"),
    ],
)
def test_a_name_that_is_none(registry: EmbeddedRegistry, name: str, method: str, rest: str) -> None:
    answer = ask(registry, f"/v2/{name.replace('é', '%C3%A9')}/{rest}", method)
    assert (answer.status, codes(answer)) == (400, ["NAME_INVALID"])


def test_what_a_layout_holds_itself_is_no_repository(tmp_path: Path) -> None:
    with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
        put_image(registry, "a", "1")
        before = sorted(tmp_path.rglob("*"))
        for name in ("a/blobs", "blobs/a", "a/blobs/sha256", "a/index.json", "oci-layout"):
            assert codes(ask(registry, f"/v2/{name}/tags/list")) == ["NAME_INVALID"]
            single = ask(registry, f"/v2/{name}/blobs/uploads/?digest={digest(LAYER)}", "POST", LAYER)
            assert (single.status, codes(single)) == (400, ["NAME_INVALID"])
            put = ask(registry, f"/v2/{name}/manifests/1", "PUT", manifest(), Content_Type=OCI_MANIFEST)
            assert codes(put) == ["NAME_INVALID"]
        assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "wrong",
    [
        "sha256",
        "sha256:",
        "sha256:12",
        f"sha256:{'A' * 64}",
        f"md5:{'a' * 32}",
        f"sha256:{'a' * 65}",
        "sha512:" + "a" * 64,
    ],
)
def test_a_digest_that_is_none(registry: EmbeddedRegistry, name: str, wrong: str) -> None:
    put_blob(registry, name, LAYER)
    for path in (f"blobs/{wrong}", f"referrers/{wrong}"):
        answer = ask(registry, f"/v2/{name}/{path}")
        assert (answer.status, codes(answer)) == (400, ["DIGEST_INVALID"])
    assert codes(ask(registry, f"/v2/{name}/blobs/uploads/?digest={wrong}", "POST", b"")) == ["DIGEST_INVALID"]
    assert codes(ask(registry, f"/v2/{name}/blobs/uploads/?mount={wrong}", "POST", b"")) == ["DIGEST_INVALID"]
    assert codes(ask(registry, begin(registry, name) + f"?digest={wrong}", "PUT", b"")) == ["DIGEST_INVALID"]


@pytest.mark.parametrize("path", PATHS)
def test_a_method_that_is_none(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path, "TRACE" if path != "/v2/nothing" else "GET")
    expected = (405, ["UNSUPPORTED"]) if path != "/v2/nothing" else (404, ["NAME_UNKNOWN"])
    assert (answer.status, codes(answer)) == expected
    if answer.status == 405:
        assert answer.headers["Allow"].startswith("GET, HEAD")


def test_basic_guards_every_path() -> None:
    with EmbeddedRegistry(MemoryRepositories(), V1Options(credentials=("jo", "pä:ss"))) as registry:
        for path in PATHS:
            for wrong in ({}, {"Authorization": "Basic x"}, {"Authorization": "Bearer x"}):
                answer = ask(registry, path, **wrong)
                assert (answer.status, codes(answer)) == (401, ["UNAUTHORIZED"])
                assert answer.headers["WWW-Authenticate"] == 'Basic realm="registry"'
            right = "Basic " + b64encode("jo:pä:ss".encode()).decode()
            assert ask(registry, path, Authorization=right).status != 401


def test_read_only_has_no_method_that_writes(tmp_path: Path) -> None:
    root = LayoutRoot(tmp_path)
    with EmbeddedRegistry(root) as registry:
        raw = put_image(registry, "a", "1", LAYER)
    with EmbeddedRegistry(root, v2=V2Options(read_only=True)) as registry:
        assert ask(registry, "/v2/a/manifests/1").body == raw
        assert ask(registry, f"/v2/a/blobs/{digest(LAYER)}").body == LAYER
        for method, path in [
            ("POST", "blobs/uploads/"),
            ("PATCH", "blobs/uploads/x"),
            ("PUT", "blobs/uploads/x"),
            ("DELETE", "blobs/uploads/x"),
            ("DELETE", f"blobs/{digest(LAYER)}"),
            ("PUT", "manifests/1"),
            ("DELETE", "manifests/1"),
        ]:
            answer = ask(registry, f"/v2/a/{path}", method, b"")
            assert (answer.status, codes(answer)) == (405, ["UNSUPPORTED"])
        assert ask(registry, "/v2/a/manifests/1").body == raw


class FailingRepositories(MemoryRepositories):
    def open(self, name: str) -> Repository:
        raise LocalFault(f"the disk at /secret/{name} is gone")


def test_a_store_that_fails_is_500_and_tells_no_path(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedRegistry(FailingRepositories()) as registry:
        answer = ask(registry, "/v2/a/tags/list")
    assert (answer.status, codes(answer)) == (500, ["UNKNOWN"])
    assert b"secret" not in answer.body
    assert capfd.readouterr() == ("", "")


def test_images_of_v1_alone_are_not_served_over_v2() -> None:
    with EmbeddedRegistry(MemoryImages({})) as registry:
        assert ask(registry, "/v2/").status == 404
        assert ask(registry, "/v1/_ping").status == 200


def test_what_was_pushed_is_an_oci_layout(tmp_path: Path) -> None:
    with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
        raw = put_image(registry, "library/demo", "1.0", LAYER)
    home = tmp_path / "library" / "demo"
    assert json.loads((home / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert (home / "blobs" / digest(LAYER).replace(":", "/")).read_bytes() == LAYER
    (listed,) = json.loads((home / "index.json").read_bytes())["manifests"]
    assert listed["digest"] == digest(raw)
    assert listed["annotations"]["org.opencontainers.image.ref.name"] == "1.0"
    assert [path.name for path in tmp_path.iterdir()] == ["library"]


def test_names_of_a_layout_that_are_no_tags_are_not_served(tmp_path: Path) -> None:
    with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
        raw = put_image(registry, "a", "1.0")
        layout = OciLayout(tmp_path / "a")
        for name in ("docker.io/library/a:2.0", "two words"):
            layout.tag(layout.resolve(digest(raw)), name)
        assert json.loads(ask(registry, "/v2/a/tags/list").body)["tags"] == ["1.0"]
        assert ask(registry, "/v2/a/manifests/two%20words").status == 404


def test_a_name_of_a_layout_that_is_ambiguous_is_not_found(tmp_path: Path) -> None:
    with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
        put_image(registry, "a", "1.0")
        put_image(registry, "a", "2.0", LAYER)
        path = tmp_path / "a" / "index.json"
        path.write_bytes(path.read_bytes().replace(b'"2.0"', b'"1.0"'))
        answer = ask(registry, "/v2/a/manifests/1.0")
        assert (answer.status, codes(answer)) == (404, ["MANIFEST_UNKNOWN"])


def test_a_layout_that_is_broken_is_500(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
        put_image(registry, "a", "1.0")
        (tmp_path / "a" / "index.json").write_bytes(b"nonsense")
        answer = ask(registry, "/v2/a/manifests/1.0")
        assert (answer.status, codes(answer)) == (500, ["UNKNOWN"])
        assert str(tmp_path).encode() not in answer.body
    assert str(tmp_path) in caplog.text


def test_a_disk_that_is_full_is_500_and_the_upload_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedRegistry(LayoutRoot(tmp_path)) as registry:
        where = begin(registry, "a")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("tempfile.SpooledTemporaryFile.write", full)
            answer = ask(registry, where, "PATCH", LAYER)
        assert (answer.status, codes(answer)) == (500, ["UNKNOWN"])
        assert ask(registry, where).status == 404
