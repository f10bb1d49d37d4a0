"""What every test may count on."""

import os
import signal
from collections.abc import Iterator
from unittest.mock import patch

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interrupts_reach_us() -> Iterator[None]:
    """A shell that runs the tests in the background has them, and what they start, ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _nothing_goes_into_our_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What an interrupted migration would leave goes where the tests' files go."""
    with patch.dict(os.environ, XDG_CACHE_HOME=str(tmp_path_factory.mktemp("cache"))):
        yield
