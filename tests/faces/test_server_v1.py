"""The embedded registry's v1 answers, each as the original server was seen to give it."""

import json
import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from dockless.model.image_id import ImageId
from tests.asking import ask, ask_raw
from tests.memory_images import MemoryImages

BASE, TOP, SHORT, MISSING = "a" * 64, "b" * 64, "c" * 16, "e" * 64
BASE_JSON = b'{ "id":"' + BASE.encode() + b'", "odd": 1.0 }'
TOP_JSON = json.dumps({"id": TOP, "parent": BASE}).encode()
IMAGES = {
    BASE: (BASE_JSON, b"the base"),
    TOP: (TOP_JSON, bytes(1024)),
    SHORT: (b'{"id": "cccccccccccccccc"}', b"\0"),
}
REPOSITORIES = {
    "library/demo": {"latest": TOP, "1.0": BASE},
    "a/b/c": {"json": SHORT, "images": BASE},
    "acme/empty": {},
    "Acme/Tool": {"gone": MISSING},
}
DEMO = "/v1/repositories/library/demo"
HTML_404 = (
    b'<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n'
    b"<p>The requested URL was not found on the server.  "
    b"If you entered the URL manually please check your spelling and try again.</p>\n"
)


@pytest.fixture(scope="module")
def images() -> MemoryImages:
    return MemoryImages(IMAGES, REPOSITORIES)


@pytest.fixture(scope="module")
def registry(images: MemoryImages) -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry(images) as registry:
        yield registry
    assert images.still_open == 0


def error(words: str) -> bytes:
    return json.dumps({"error": words}).encode()


@pytest.mark.parametrize("path", ["/_ping", "/v1/_ping"])
def test_ping(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path)
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["X-Docker-Registry-Standalone"] == "True"


def test_what_may_change_is_not_cached(registry: EmbeddedRegistry) -> None:
    for path in ("/v1/_ping", DEMO + "/tags", DEMO + "/images", f"/v1/images/{MISSING}/json"):
        headers = ask(registry, path).headers
        assert headers["Content-Type"] == "application/json"
        assert (headers["Cache-Control"], headers["Pragma"], headers["Expires"]) == ("no-cache", "no-cache", "-1")


@pytest.mark.parametrize("kind", ["json", "ancestry", "layer"])
def test_images_are_cached_for_a_year(registry: EmbeddedRegistry, kind: str) -> None:
    headers = ask(registry, f"/v1/images/{BASE}/{kind}").headers
    assert headers["Cache-Control"] == "public, max-age=31536000"
    assert headers["Last-Modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    kept = parsedate_to_datetime(headers["Expires"]) - parsedate_to_datetime(headers["Date"])
    assert abs(kept.total_seconds() - 31536000) < 5
    assert "Pragma" not in headers


@pytest.mark.parametrize("kind", ["json", "ancestry", "layer"])
@pytest.mark.parametrize("image_id", [BASE, MISSING])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_modified_since_anything(registry: EmbeddedRegistry, kind: str, image_id: str, method: str) -> None:
    answer = ask(registry, f"/v1/images/{image_id}/{kind}", method, If_Modified_Since="whenever")
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000"
    assert "Last-Modified" not in answer.headers


def test_what_is_never_said(registry: EmbeddedRegistry) -> None:
    for path in ("/v1/_ping", DEMO + "/images", f"/v1/images/{BASE}/layer", "/v2/"):
        headers = ask(registry, path, Accept_Encoding="gzip", If_None_Match="*", Cookie="a=b").headers
        for name in ("Set-Cookie", "ETag", "Server", "Content-Encoding", "Transfer-Encoding"):
            assert name not in headers
        assert not [name for name in headers if name.lower().startswith("docker-")]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/_ping", "/", "/v1/users/", "/v1/search", "/v1/nope"),
        *(DEMO, DEMO + "/", DEMO + "/tags", DEMO + "/tags/latest", DEMO + "/tags/nope", DEMO + "/images"),
        *(f"/v1/images/{image_id}/{kind}" for image_id in (BASE, MISSING) for kind in ("json", "ancestry", "layer")),
    ],
)
def test_head_wherever_get(registry: EmbeddedRegistry, path: str) -> None:
    whole, head = ask(registry, path), ask(registry, path, "HEAD")
    assert (head.status, head.body) == (whole.status, b"")
    assert head.headers["Content-Length"] == str(len(whole.body))
    assert sorted(head.headers.keys()) == sorted(whole.headers.keys())


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (f"/v1/images/{MISSING}/json", "Image not found"),
        (f"/v1/images/{MISSING}/ancestry", "Image not found"),
        (f"/v1/images/{MISSING}/layer", "Image not found"),
        (f"/v1/images/{BASE[:16]}/json", "Image not found"),
        (f"/v1/images/{BASE[:12]}/json", "Invalid image ID"),
        (f"/v1/images/{BASE.upper()}/ancestry", "Invalid image ID"),
        ("/v1/images/..%20/layer", "Invalid image ID"),
        ("/v1/repositories/nope/images", "images not found"),
        ("/v1/repositories/nope/tags", "Repository not found"),
        ("/v1/repositories/nope/tags/latest", "Tag not found"),
        (DEMO + "/tags/2.0", "Tag not found"),
        ("/v1/repositories/DEMO/tags", "Repository not found"),
    ],
)
def test_what_is_not_there(registry: EmbeddedRegistry, path: str, words: str) -> None:
    answer = ask(registry, path)
    assert (answer.status, answer.body) == (404, error(words))


def test_an_invalid_id_is_404_even_to_who_has_it(registry: EmbeddedRegistry) -> None:
    assert ask(registry, "/v1/images/abc/json", If_Modified_Since="x").status == 404


@pytest.mark.parametrize(
    "path", ["/v1/", "/v2/", "/nope", "/v1/_ping/", "/v1/repositories/", "/v1/repositories//demo/tags", "/v1/images/a"]
)
def test_no_such_route_is_html(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path)
    assert (answer.status, answer.body) == (404, HTML_404)
    assert answer.headers.get_content_type() == "text/html"


@pytest.mark.parametrize("path", ["/v1/_ping", DEMO + "/tags/latest", DEMO + "/images", f"/v1/images/{BASE}/json"])
def test_wrong_method_is_html(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path, "PUT")
    assert (answer.status, answer.headers.get_content_type()) == (405, "text/html")
    assert sorted(answer.headers["Allow"].split(", ")) == ["GET", "HEAD"]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/users", "/v1/users/"),
        (DEMO, DEMO + "/"),
        (DEMO + "?x=1&y=%22", DEMO + "/?x=1&y=%22"),
        (DEMO + "/tags/a%2Fb", DEMO + "/tags/a/b/"),
        ("/v1/repositories/a%20b%3F", "/v1/repositories/a%20b%3F/"),
    ],
)
def test_a_missing_slash_is_301(registry: EmbeddedRegistry, path: str, target: str) -> None:
    answer = ask(registry, path, Host="example.com:81")
    assert (answer.status, answer.headers["Location"]) == (301, "http://example.com:81" + target)
    assert b"Redirecting..." in answer.body


@pytest.mark.parametrize("path", [DEMO + "/", DEMO + "/images/", DEMO + "/tags/", DEMO + "/tags/latest/"])
def test_a_slash_too_many_is_405(registry: EmbeddedRegistry, path: str) -> None:
    answer = ask(registry, path)
    assert (answer.status, answer.headers.get_content_type()) == (405, "text/html")
    assert "Allow" in answer.headers


@pytest.mark.parametrize("name", ["demo", "library/demo", "demo/", "library%2Fdemo"])
def test_names_without_namespace_are_in_library(registry: EmbeddedRegistry, name: str) -> None:
    answer = ask(registry, f"/v1/repositories/{name}/tags")
    assert answer.body == f'{{"1.0": "{BASE}", "latest": "{TOP}"}}'.encode()
    assert 'repository="library/demo"' in ask(registry, f"/v1/repositories/{name}/images").headers["X-Docker-Token"]


@pytest.mark.parametrize("name", ["a/b/c", "a/b%2Fc"])
def test_names_of_three_parts(registry: EmbeddedRegistry, name: str) -> None:
    assert ask(registry, f"/v1/repositories/{name}/tags").body == f'{{"images": "{BASE}", "json": "{SHORT}"}}'.encode()
    assert 'repository="a/b%2Fc"' in ask(registry, f"/v1/repositories/{name}/images").headers["X-Docker-Token"]
    assert ask(registry, "/v1/repositories/a/b%252Fc/tags").status == 404


def test_a_tag_is_a_json_string(registry: EmbeddedRegistry) -> None:
    assert ask(registry, DEMO + "/tags/latest").body == f'"{TOP}"'.encode()


@pytest.mark.parametrize(("tag", "image_id"), [("json", SHORT), ("images", BASE)])
def test_tags_may_be_called_like_routes(registry: EmbeddedRegistry, tag: str, image_id: str) -> None:
    assert ask(registry, f"/v1/repositories/a/b/c/tags/{tag}").body == f'"{image_id}"'.encode()


def test_index(registry: EmbeddedRegistry) -> None:
    for headers in ({}, {"X-Docker-Token": "true"}):
        answer = ask(registry, DEMO + "/images", Host="example.com:81", **headers)
        assert answer.body == f'[{{"id": "{TOP}"}}, {{"id": "{BASE}"}}]'.encode()
        token = answer.headers["X-Docker-Token"]
        assert re.fullmatch(r'Token signature=[A-Z0-9]{16},repository="library/demo",access=read', token)
        assert answer.headers["WWW-Authenticate"] == token
        assert answer.headers.get_all("X-Docker-Endpoints") == ["example.com:81"]


def test_index_of_an_empty_repository(registry: EmbeddedRegistry) -> None:
    assert ask(registry, "/v1/repositories/acme/empty/images").body == b"[]"
    assert ask(registry, "/v1/repositories/acme/empty/tags").body == b"{}"


def test_index_holds_what_was_never_uploaded(registry: EmbeddedRegistry) -> None:
    assert ask(registry, "/v1/repositories/Acme/Tool/images").body == f'[{{"id": "{MISSING}"}}]'.encode()


def test_index_without_host_is_500(registry: EmbeddedRegistry) -> None:
    answer = ask_raw(registry, f"GET {DEMO}/images HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.headers.get_content_type()) == (500, "text/html")


def test_configured_endpoints_are_a_header_each() -> None:
    options = V1Options(endpoints=("one:1, two:2", "three:3"))
    with EmbeddedRegistry(MemoryImages(IMAGES, REPOSITORIES), options) as registry:
        answer = ask_raw(registry, f"GET {DEMO}/images HTTP/1.0\r\n\r\n")
    assert answer.headers.get_all("X-Docker-Endpoints") == ["one:1, two:2", "three:3"]


def test_image_json_is_the_bytes_as_pushed(registry: EmbeddedRegistry, images: MemoryImages) -> None:
    answer = ask(registry, f"/v1/images/{BASE}/json")
    assert (answer.body, answer.headers["Content-Type"]) == (BASE_JSON, "application/json")
    assert answer.headers["X-Docker-Size"] == "8"
    assert answer.headers["X-Docker-Checksum-Payload"] == images.image(ImageId(BASE)).checksum


def test_ancestry_starts_with_the_image(registry: EmbeddedRegistry) -> None:
    assert ask(registry, f"/v1/images/{TOP}/ancestry").body == f'["{TOP}", "{BASE}"]'.encode()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?q=demo", ["library/demo"]),
        ("?q=DEMO&n=1&page=2", ["library/demo"]),
        ("?q=acme", ["acme/empty", "Acme/Tool"]),
        ("?q=b%252Fc", ["a/b%2Fc"]),
        ("?q=b/c", []),
        ("?q=", ["library/demo", "a/b%2Fc", "acme/empty", "Acme/Tool"]),
        ("", ["library/demo", "a/b%2Fc", "acme/empty", "Acme/Tool"]),
    ],
)
def test_search(registry: EmbeddedRegistry, query: str, names: list[str]) -> None:
    found = json.loads(ask(registry, "/v1/search" + query).body)
    assert found["results"] == [{"description": "", "name": name} for name in names]
    assert found["num_results"] == len(names)


def test_search_repeats_the_query_in_ascii(registry: EmbeddedRegistry) -> None:
    body = ask(registry, "/v1/search?q=%C3%A9").body
    assert body == rb'{"num_results": 0, "query": "\u00e9", "results": []}'


def test_constants(registry: EmbeddedRegistry) -> None:
    pusher = (
        b'{"arch": "amd64", "docker_go_version": null, "docker_version": null, "kernel": null, '
        b'"last_update": null, "os": "linux"}'
    )
    assert ask(registry, "/").body == b'"docker-registry server"'
    assert ask(registry, "/v1/users/", Authorization="Basic bm86bm8=").body == b'"OK"'
    assert ask(registry, DEMO + "/properties").body == b'{"access": "public"}'
    assert ask(registry, DEMO + "/json").body == pusher
    assert ask(registry, DEMO + "/tags/nope/json").body == pusher


@pytest.mark.parametrize("value", ["Basic bm86bm8=", "Token x", "nonsense"])
def test_standalone_takes_any_authorization(registry: EmbeddedRegistry, value: str) -> None:
    assert ask(registry, DEMO + "/tags", Authorization=value).status == 200
