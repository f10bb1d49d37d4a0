"""The routes of v1, as the original server has them."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest

from dockless.model.image_id import ImageId
from dockless.wire.v1 import routes

ID = ImageId("0123456789abcdef")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (routes.PING, "/v1/_ping"),
        (routes.repository_images("a"), "/v1/repositories/a/images"),
        (routes.repository_images("a/b/c"), "/v1/repositories/a/b/c/images"),
        (routes.repository("library/demo"), "/v1/repositories/library/demo/"),
        (routes.tag("library/demo", "1.0"), "/v1/repositories/library/demo/tags/1.0"),
        (routes.checksum(ID), f"/v1/images/{ID}/checksum"),
        (routes.tags("library/demo"), "/v1/repositories/library/demo/tags"),
        (routes.image_json(ID), f"/v1/images/{ID}/json"),
        (routes.ancestry(ID), f"/v1/images/{ID}/ancestry"),
        (routes.layer(ID), f"/v1/images/{ID}/layer"),
    ],
)
def test_a_route_is_where_the_original_has_it(path: str, expected: str) -> None:
    assert path == expected


@pytest.mark.parametrize("route", [routes.repository, routes.repository_images, routes.tags])
def test_a_repository_s_name_is_quoted(route: Callable[[str], str]) -> None:
    assert route("a?b#c d%/\xfc").startswith("/v1/repositories/a%3Fb%23c%20d%25/%C3%BC/")


@pytest.mark.parametrize("query", ["demo", "a b", "a&page=9#x", "100%", "\xfc\u2028"])
def test_a_search_carries_its_words_and_page_and_nothing_else(query: str) -> None:
    parts = urlsplit(routes.search(query, 2))

    assert (parts.path, parts.fragment) == ("/v1/search", "")
    assert parse_qsl(parts.query, keep_blank_values=True) == [("q", query), ("n", "100"), ("page", "2")]
