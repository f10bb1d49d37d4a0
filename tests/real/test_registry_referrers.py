"""Referrers in registries: of one type; and where there is no API, from several processes, and after one was killed."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from io import BufferedReader
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from dockless.faces.client import Client
from dockless.faces.server.app import EmbeddedRegistry
from dockless.stores.oci_layout import OciLayout
from dockless.stores.registry.repository import Repository
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.contract import image
from dockless.testing.peer import Received
from tests.debian_registry import DebianRegistry
from tests.faces.command import command
from tests.flaky_registry import client_of
from tests.front import Front
from tests.graphs import index, referrer

WRITERS, EACH = 4, 10

# Pushes referrers of one subject, one after the other, and prints their digests.
WRITER = """
import sys
from contextlib import closing
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.stores.registry.client import RegistryClient
from tests.graphs import referrer
url, name, digest, kind, count = sys.argv[1:]
with closing(Session(Settings())) as session:
    repository = RegistryClient(session, url).repository(name)
    subject = repository.resolve(digest)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(count)):
        print(referrer(repository, subject, f"{kind}/{number}").digest)
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    with DebianRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def repository(registry: DebianRegistry) -> Iterator[Repository]:
    """A repository with nothing in it, of a registry without the API."""
    with client_of(registry.url) as client:
        yield client.repository(f"referred/{uuid4().hex}")


def check_types(repository: Repository) -> None:
    subject = image(repository)
    made = {kind: referrer(repository, subject, kind) for kind in ("a/one", "a/two+json")}
    assert set(repository.predecessors(subject)) == set(made.values())
    for kind, one in made.items():
        assert list(repository.predecessors(subject, kind)) == [one]
    assert list(repository.predecessors(subject, "a/three")) == []


def test_those_of_one_type_where_the_registry_filters() -> None:
    with EmbeddedRegistry(MemoryRepositories()) as embedded, client_of(embedded.url) as client:
        check_types(client.repository("a/b"))


def test_those_of_one_type_where_there_is_no_api(repository: Repository) -> None:
    check_types(repository)


def test_one_that_was_deleted_by_who_does_not_know_of_the_list_is_no_hindrance(repository: Repository) -> None:
    subject = image(repository)
    first, second, third = (referrer(repository, subject, f"a/{number}") for number in range(3))
    urlopen(Request(f"{repository.client.url}/v2/{repository.name}/manifests/{first.digest}", method="DELETE")).close()
    repository.delete(second)
    fourth = referrer(repository, subject, "a/3")
    assert list(repository.predecessors(subject)) == [third, fourth]


def test_four_processes_list_their_referrers_and_none_is_lost(repository: Repository) -> None:
    subject = image(repository)
    place = (repository.client.url, repository.name, subject.digest)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, *place, f"writer/{number}", str(EACH)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    made = {digest for writer in writers for digest in writer.communicate(timeout=60)[0].split()}
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert len(made) == WRITERS * EACH
    assert {one.digest for one in repository.predecessors(subject)} == made


class Stalling(Front):
    """Lets a manifest with a subject arrive, and the next question about it, whether there is an API, wait for ever."""

    def __init__(self, upstream: str) -> None:
        self.reached = threading.Event()
        super().__init__(upstream)

    def _pass_on(self, request: Received, stream: BufferedReader, upstream: HTTPConnection) -> None:
        if "/referrers/" in request.target:
            self.reached.set()
            self._closing.wait()
            raise ConnectionAbortedError
        super()._pass_on(request, stream, upstream)


@pytest.mark.parametrize(
    ("name", "referrers"), [("image", True), ("index of both", True), ("note", False), ("its digest", False)]
)
def test_a_referrer_of_a_killed_copy_is_listed_by_the_next_one(
    registry: DebianRegistry, repository: Repository, tmp_path: Path, name: str, referrers: bool
) -> None:
    layout = OciLayout(tmp_path / "layout")
    subject = image(layout)
    note = referrer(layout, subject, "a/note")
    for tag, target in (("image", subject), ("index", index(layout, subject, note)), ("note", note)):
        layout.tag(target, tag)
    where = f"@{note.digest}" if name == "its digest" else f":{name.partition(' ')[0]}"
    source, place = f"oci:{layout.path}{where}", f"{repository.name}{where}"
    with Stalling(registry.host) as front:
        begun = command("copy", "-q", *(["--referrers"] if referrers else []), source, f"{front.host}/{place}")
        with subprocess.Popen(begun) as process:
            assert front.reached.wait(30)
            process.kill()
    assert process.returncode == -9
    assert repository.exists(note)
    assert list(repository.predecessors(subject)) == []
    with Client() as client:
        client.copy(source, f"{registry.host}/{place}", referrers=referrers)
    assert list(repository.predecessors(subject)) == [note]
