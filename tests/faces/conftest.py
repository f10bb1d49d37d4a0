"""Embedded registries that take content in."""

from collections.abc import Iterator
from itertools import count

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.stores.base import Repositories
from dockless.stores.repositories import LayoutRoot, MemoryRepositories

_NUMBERS = count()


@pytest.fixture(scope="module", params=["memory", "layouts"])
def repositories(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    """Repositories in each place that there is."""
    return MemoryRepositories() if request.param == "memory" else LayoutRoot(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def registry(repositories: Repositories) -> Iterator[EmbeddedRegistry]:
    """A registry over them, shared by the tests of a module."""
    with EmbeddedRegistry(repositories) as registry:
        yield registry


@pytest.fixture
def name() -> str:
    """The name of a repository that no other test uses."""
    return f"a/b-{next(_NUMBERS)}"
