"""The version stands in one place."""

import re

import dockless
from dockless.model.version import __version__


def test_the_package_is_the_version_that_the_one_place_says() -> None:
    assert dockless.__version__ == __version__


def test_the_version_is_one_that_python_can_compare() -> None:
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+((a|b|rc|\.dev)[0-9]+)?", __version__)
