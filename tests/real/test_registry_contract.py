"""Debian's docker-registry, through our client, is a Store as any other."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.stores.base import BlobFinder, Deleter, Ingestor, Mounter, NamedFetcher, Store, TagLister
from dockless.stores.registry.client import RegistryClient
from dockless.testing.contract import StoreContract
from tests.debian_registry import DebianRegistry

_NUMBERS = count()


@pytest.fixture(scope="module", name="registry")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    with DebianRegistry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


class TestRegistry(StoreContract):
    abilities = frozenset({BlobFinder, NamedFetcher, Mounter, Ingestor, TagLister, Deleter})

    @pytest.fixture
    def store(self, registry: DebianRegistry) -> Iterator[Store]:
        with closing(Session(Settings())) as session:
            yield RegistryClient(session, registry.url).repository(f"empty/number-{next(_NUMBERS)}")
