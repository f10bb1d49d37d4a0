"""What a test says when the real thing it needs is not here."""

import os
from typing import NoReturn

import pytest


def absent(reason: str) -> NoReturn:
    """Skip the test and say why; fail it where `DOCKLESS_REQUIRE_REAL=1` promises that everything is here."""
    __tracebackhide__ = True
    if os.environ.get("DOCKLESS_REQUIRE_REAL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)
