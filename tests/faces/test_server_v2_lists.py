"""What the embedded registry lists: tags, repositories, referrers, page by page."""

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockless.faces.server.app import EmbeddedRegistry
from dockless.faces.server.v2_lists import _within
from dockless.model.descriptor import Descriptor, describe
from dockless.model.media_types import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from dockless.stores.repositories import MemoryRepositories
from tests.asking import Answer, ask
from tests.pushing import codes, described, digest, index, manifest, put_blob, put_image, put_manifest

TAGS = ["1.0", "1.0-rc", "A", "_x", "a", "b", "latest"]


@pytest.fixture(scope="module")
def full() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry(MemoryRepositories()) as registry:
        raw = put_image(registry, "a/b", "a")
        for tag in reversed(TAGS):
            put_manifest(registry, "a/b", tag, raw)
        for name in ("a", "a/c", "a-b", "z"):
            put_image(registry, name, "1")
        yield registry


def listed(answer: Answer, key: str) -> list[str]:
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    found: list[str] = json.loads(answer.body)[key]
    return found


def pages(registry: EmbeddedRegistry, path: str, key: str) -> list[list[str]]:
    found = []
    while path:
        answer = ask(registry, path)
        found.append(listed(answer, key))
        link = answer.headers["Link"] or "<>"
        assert link == "<>" or link.endswith('>; rel="next"')
        path = link[1 : link.index(">")]
    return found


def test_tags_come_in_order(full: EmbeddedRegistry) -> None:
    answer = ask(full, "/v2/a/b/tags/list")
    assert json.loads(answer.body) == {"name": "a/b", "tags": sorted(TAGS)}
    assert answer.headers["Link"] is None


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 8])
def test_tags_page_by_page(full: EmbeddedRegistry, count: int) -> None:
    found = pages(full, f"/v2/a/b/tags/list?n={count}", "tags")
    assert [tag for page in found for tag in page] == sorted(TAGS)
    assert {len(page) for page in found[:-1]} <= {count}
    assert 0 < len(found[-1]) <= count


@pytest.mark.parametrize(
    ("last", "rest"), [("a", ["b", "latest"]), ("aa", ["b", "latest"]), ("zz", []), ("", sorted(TAGS))]
)
def test_tags_after_one(full: EmbeddedRegistry, last: str, rest: list[str]) -> None:
    assert listed(ask(full, f"/v2/a/b/tags/list?last={last}"), "tags") == rest
    assert listed(ask(full, f"/v2/a/b/tags/list?n=1&last={last}"), "tags") == rest[:1]


def test_none_at_all(full: EmbeddedRegistry) -> None:
    answer = ask(full, "/v2/a/b/tags/list?n=0")
    assert (listed(answer, "tags"), answer.headers["Link"]) == ([], None)


@pytest.mark.parametrize("path", ["/v2/a/b/tags/list", "/v2/_catalog"])
@pytest.mark.parametrize("count", ["-1", "x", "", "1.5", "1e3", "\u0663", "9" * 5000])
def test_a_number_that_is_none(full: EmbeddedRegistry, path: str, count: str) -> None:
    answer = ask(full, f"{path}?n={quote(count)}")
    assert (answer.status, codes(answer)) == (400, ["UNSUPPORTED"])


def test_more_than_there_are(full: EmbeddedRegistry) -> None:
    assert listed(ask(full, "/v2/a/b/tags/list?n=1000000000"), "tags") == sorted(TAGS)
    assert listed(ask(full, "/v2/_catalog?n=1000000000"), "repositories") == sorted(["a", "a/b", "a/c", "a-b", "z"])


def test_a_page_has_an_end(registry: EmbeddedRegistry, monkeypatch: pytest.MonkeyPatch, full: EmbeddedRegistry) -> None:
    monkeypatch.setattr("dockless.faces.server.v2_lists._MOST", 3)
    for query in ("", "?n=1000000000"):
        found = pages(full, f"/v2/a/b/tags/list{query}", "tags")
        assert [len(page) for page in found] == [3, 3, 1]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_repositories_page_by_page(full: EmbeddedRegistry, count: int) -> None:
    found = pages(full, f"/v2/_catalog?n={count}", "repositories")
    assert [name for page in found for name in page] == sorted(["a", "a/b", "a/c", "a-b", "z"])


def test_repositories_of_every_place(registry: EmbeddedRegistry, name: str) -> None:
    for one in (name, f"{name}/deeper/still", f"{name}-more"):
        put_image(registry, one, "1")
    found = listed(ask(registry, "/v2/_catalog"), "repositories")
    assert [one for one in found if one.startswith(name)] == sorted([name, f"{name}/deeper/still", f"{name}-more"])


class TestReferrers:
    @pytest.fixture
    def subject(self, registry: EmbeddedRegistry, name: str) -> bytes:
        raw = put_image(registry, name, "1")
        put_blob(registry, name, b"{}")
        return raw

    def put(self, registry: EmbeddedRegistry, name: str, subject: bytes, **more: object) -> str:
        refers = {"config": described(b"{}", OCI_EMPTY), "subject": described(subject, OCI_MANIFEST), **more}
        raw = manifest(**refers)
        put = put_manifest(registry, name, digest(raw), raw)
        assert (put.status, put.headers["OCI-Subject"]) == (201, digest(subject))
        return digest(raw)

    def get(self, registry: EmbeddedRegistry, name: str, subject: bytes, query: str = "") -> list[dict[str, object]]:
        answer = ask(registry, f"/v2/{name}/referrers/{digest(subject)}{query}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, OCI_INDEX)
        body = json.loads(answer.body)
        assert (body["schemaVersion"], body["mediaType"]) == (2, OCI_INDEX)
        applied = "artifactType" if "artifactType=" in query else None
        assert answer.headers["OCI-Filters-Applied"] == applied
        found: list[dict[str, object]] = body["manifests"]
        return found

    def test_are_listed_with_type_and_annotations(self, registry: EmbeddedRegistry, name: str, subject: bytes) -> None:
        assert self.get(registry, name, subject) == []
        note = self.put(registry, name, subject, artifactType="application/x-note", annotations={"made": "here"})
        plain = self.put(registry, name, subject)
        raw = index(subject=described(subject, OCI_MANIFEST), annotations={"of": "many"})
        put_manifest(registry, name, digest(raw), raw, OCI_INDEX)
        found = {str(one["digest"]): one for one in self.get(registry, name, subject)}
        assert found.keys() == {note, plain, digest(raw)}
        assert found[note]["artifactType"] == "application/x-note"
        assert found[note]["annotations"] == {"made": "here"}
        assert found[note]["mediaType"] == OCI_MANIFEST
        assert found[plain]["artifactType"] == OCI_EMPTY
        assert "artifactType" not in found[digest(raw)]
        assert found[digest(raw)]["annotations"] == {"of": "many"}

    def test_of_one_type(self, registry: EmbeddedRegistry, name: str, subject: bytes) -> None:
        note = self.put(registry, name, subject, artifactType="application/x-note")
        self.put(registry, name, subject, artifactType="application/x-other")
        found = self.get(registry, name, subject, "?artifactType=application/x-note")
        assert [one["digest"] for one in found] == [note]
        assert self.get(registry, name, subject, "?artifactType=application/x-none") == []

    def test_of_a_subject_that_comes_later(self, registry: EmbeddedRegistry, name: str) -> None:
        put_blob(registry, name, b"{}")
        note = self.put(registry, name, b"later")
        assert [one["digest"] for one in self.get(registry, name, b"later")] == [note]

    def test_are_gone_once_deleted(self, registry: EmbeddedRegistry, name: str, subject: bytes) -> None:
        note, other = self.put(registry, name, subject), self.put(registry, name, subject, mark="other")
        assert ask(registry, f"/v2/{name}/manifests/{note}", "DELETE").status == 202
        assert [one["digest"] for one in self.get(registry, name, subject)] == [other]

    @pytest.mark.parametrize("where", ["none", "a/blobs/b"])
    def test_of_a_repository_that_is_not_there(self, registry: EmbeddedRegistry, where: str) -> None:
        assert self.get(registry, where, b"") == []

    @pytest.mark.parametrize("kind", ["", "artifactType=application/x-note"])
    def test_page_by_page(
        self, registry: EmbeddedRegistry, name: str, subject: bytes, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dockless.faces.server.v2_lists._MOST_BYTES", 500)
        put = {self.put(registry, name, subject, artifactType="application/x-note", mark=n) for n in range(5)}
        path, found, count = f"/v2/{name}/referrers/{digest(subject)}?{kind}", [], 0
        while path:
            answer = ask(registry, path)
            assert answer.headers["OCI-Filters-Applied"] == ("artifactType" if kind else None)
            found += [one["digest"] for one in json.loads(answer.body)["manifests"]]
            link = answer.headers["Link"] or "<>"
            path, count = link[1 : link.index(">")], count + 1
        assert len(found) == 5
        assert set(found) == put
        assert count == 3


@given(st.lists(st.integers(0, 400), max_size=20), st.integers(0, 2000))
def test_a_page_is_as_full_as_may_be(sizes: list[int], most: int) -> None:
    found = [Descriptor(OCI_EMPTY, describe(b"", "").digest, 0, annotations={"a": "x" * size}) for size in sizes]
    page = _within(found, most)
    assert page == found[: len(page)]
    assert bool(page) == bool(found)
