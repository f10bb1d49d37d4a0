"""Debian's docker-registry speaks v2 and no v1: what a v1 client says to it."""

from collections.abc import Iterator

import pytest

from dockless import NotFound, v1
from tests.debian_registry import DebianRegistry


@pytest.fixture(scope="module", name="url")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with DebianRegistry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry.url


def test_it_has_no_v1(url: str) -> None:
    with pytest.raises(NotFound, match="404") as caught:
        v1.ping(url)
    assert caught.value.exit_code == 3


def test_an_image_is_not_found_there(url: str) -> None:
    with pytest.raises(NotFound, match="image library/demo not found"):
        v1.get_image("library/demo", url)
