"""Images and a registry that nobody here wrote, each made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.debian_registry import DebianRegistry
from tests.real_image import make_real_image, make_small_image


class RealImage(NamedTuple):
    """A layout, and the root file system that its tag `real` must unpack to."""

    layout: Path
    files: Path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A layout as `make_small_image` makes it. Not to be changed."""
    layout = tmp_path_factory.mktemp("small") / "layout"
    make_small_image(layout)
    return layout


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealImage]:
    """The same with Debian's root file system. Not to be changed."""
    work = tmp_path_factory.mktemp("real")
    make_small_image(work / "layout")
    yield RealImage(work / "layout", make_real_image(work / "layout", work))
    shutil.rmtree(work)  # pytest keeps what three runs leave


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    """Debian's docker-registry; tests take repositories of their own."""
    work = tmp_path_factory.mktemp("registry")
    with DebianRegistry(work) as running:
        yield running
    shutil.rmtree(work)
