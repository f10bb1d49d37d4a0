"""Who may read from the embedded registry: tokens and Basic."""

from base64 import b64encode
from collections.abc import Iterator

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v1 import V1Options
from tests.asking import Answer, ask
from tests.memory_images import MemoryImages

IMAGE = "a" * 64
IMAGES = MemoryImages({IMAGE: (b'{"id": "a"}', b"layer")}, {"library/demo": {"latest": IMAGE}, "a/b/c": {}})
DEMO = "/v1/repositories/demo"
PRIVATE = [
    *(DEMO + path for path in ("/tags", "/tags/latest", "/tags/latest/json", "/json", "/properties")),
    *(f"/v1/images/{IMAGE}/{kind}" for kind in ("json", "ancestry", "layer")),
    "/v1/images/nonsense/json",
]
INDEX = ["/", "/v1/users/", "/v1/search", DEMO + "/images"]
BASIC = "Basic " + b64encode("jo:pä:ss".encode()).decode()


@pytest.fixture(scope="module")
def registry() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry(IMAGES, V1Options(tokens=True)) as registry:
        yield registry


def token_of(registry: EmbeddedRegistry, name: str = "demo", **headers: str) -> str:
    return str(ask(registry, f"/v1/repositories/{name}/images", **headers).headers["X-Docker-Token"])


def assert_refused(answer: Answer, wanted: str) -> None:
    assert (answer.status, answer.body) == (401, b'{"error": "Requires authorization"}')
    assert answer.headers["WWW-Authenticate"] == wanted
    assert answer.headers["Content-Type"] == "application/json"


def test_token_mode_is_not_standalone(registry: EmbeddedRegistry) -> None:
    assert ask(registry, "/v1/_ping").headers["X-Docker-Registry-Standalone"] == "False"


@pytest.mark.parametrize("path", PRIVATE)
def test_without_token(registry: EmbeddedRegistry, path: str) -> None:
    assert_refused(ask(registry, path), "Token")


@pytest.mark.parametrize("path", INDEX)
def test_the_index_needs_no_token(registry: EmbeddedRegistry, path: str) -> None:
    assert ask(registry, path).status == 200


@pytest.mark.parametrize("write", ["{}", "Token {}", "token {}", "TOKEN {}"])
def test_the_token_opens(registry: EmbeddedRegistry, write: str) -> None:
    value = write.format(token_of(registry))
    for _ in range(2):
        for path in PRIVATE[:-1]:
            assert ask(registry, path, Authorization=value).status == 200


def test_the_token_of_another_registry_in_this_process_opens(registry: EmbeddedRegistry) -> None:
    with EmbeddedRegistry(IMAGES) as index:
        value = token_of(index)
    assert ask(registry, DEMO + "/tags", Authorization=value).status == 200


def test_the_token_is_for_one_repository_and_any_image(registry: EmbeddedRegistry) -> None:
    value = token_of(registry, "a/b/c")
    assert ask(registry, "/v1/repositories/a/b/c/tags", Authorization=value).status == 200
    assert_refused(ask(registry, DEMO + "/tags", Authorization=value), "Token")
    assert ask(registry, f"/v1/images/{IMAGE}/json", Authorization=value).status == 200


def test_access_read_is_get_alone(registry: EmbeddedRegistry) -> None:
    value = token_of(registry)
    for path in PRIVATE:
        assert ask(registry, path, "HEAD", Authorization=value).status == 401


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("signature=", "signature=X"),
        ("Token ", "Bearer "),
        ("Token ", ""),
        ("=read", "=write"),
        (",access=read", ""),
        ("library/demo", "a/b%2Fc"),
    ],
)
def test_a_token_that_was_changed(registry: EmbeddedRegistry, old: str, new: str) -> None:
    value = token_of(registry).replace(old, new)
    for path in PRIVATE:
        assert_refused(ask(registry, path, Authorization=value), "Token")


@pytest.mark.parametrize("value", ["Token", "Token x", "Basic bm86bm8=", "Bearer x", "a" * 8000])
def test_no_token_at_all(registry: EmbeddedRegistry, value: str) -> None:
    assert_refused(ask(registry, DEMO + "/tags", Authorization=value), "Token")


def test_basic_before_every_route_but_the_ping() -> None:
    with EmbeddedRegistry(IMAGES, V1Options(credentials=("jo", "pä:ss"))) as registry:
        assert ask(registry, "/v1/_ping").status == ask(registry, "/_ping").status == 200
        for path in PRIVATE + INDEX:
            for wrong in ("", "Basic bm86bm8=", BASIC[:-4], "Token x", token_of(registry, Authorization=BASIC)):
                assert_refused(ask(registry, path, Authorization=wrong), 'Basic realm="registry"')
        for path in PRIVATE[:-1] + INDEX:
            assert ask(registry, path, Authorization=BASIC).status == 200
            assert ask(registry, path, Authorization="basic" + BASIC[5:]).status == 200


def test_basic_at_the_index_and_tokens_at_the_registry() -> None:
    with EmbeddedRegistry(IMAGES, V1Options(tokens=True, credentials=("jo", "pä:ss"))) as registry:
        for path in INDEX:
            assert_refused(ask(registry, path), 'Basic realm="registry"')
        assert_refused(ask(registry, DEMO + "/tags", Authorization=BASIC), "Token")
        value = token_of(registry, Authorization=BASIC)
        assert ask(registry, DEMO + "/tags", Authorization=value).status == 200
