"""Copies of random graphs, with any number of workers, and faults at any step: nothing is lost, and nothing hangs."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from dockless.model.descriptor import Descriptor
from dockless.model.documents import parse_document
from dockless.model.errors import CopyFault, NetworkFault
from dockless.model.media_types import DOCUMENTS, OCI_MANIFEST
from dockless.ops import graph
from dockless.ops.copy import CopyOptions, copy
from dockless.stores.memory import MemoryStore
from dockless.testing.contract import put
from tests.graphs import document, index
from tests.watched import FailsAt, Named, Watched, wait_for_threads

quickly = settings(deadline=None, max_examples=60)


@pytest.fixture(autouse=True, scope="module")
def _small_blobs_are_large() -> Iterator[None]:
    """Let some blobs go where large ones go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_SMALL", 100)
        yield


class Shape(NamedTuple):
    """Sizes of blobs, manifests by the numbers of their blobs, and indexes by the numbers of documents before them."""

    blobs: list[int]
    manifests: list[list[int]]
    indexes: list[list[int]]


numbers = st.lists(st.integers(0, 30), max_size=5)
shapes = st.builds(
    Shape,
    blobs=st.lists(st.integers(0, 300), min_size=1, max_size=8),
    manifests=st.lists(numbers, min_size=1, max_size=6),
    indexes=st.lists(numbers, max_size=4),
)
jobs = st.integers(1, 16)


def made(store: MemoryStore, shape: Shape) -> list[Descriptor]:
    """Put a graph into a store, tag its root, and return its documents; the root, which is above all, is the last."""
    blobs = [put(store, bytes([number]) * size) for number, size in enumerate(shape.blobs)]

    def picked(some: list[Descriptor], which: list[int]) -> list[Descriptor]:
        return [some[number % len(some)] for number in which]

    documents = []
    for number, layers in enumerate(shape.manifests):
        config = put(store, f"config {number}".encode())
        documents.append(document(store, OCI_MANIFEST, config=config, layers=picked(blobs, layers)))
    for entries in shape.indexes:
        documents.append(index(store, *picked(documents, entries)))
    documents.append(index(store, *documents))
    store.tag(documents[-1], "tag")
    return documents


def reachable(store: MemoryStore, root: Descriptor) -> set[str]:
    found = {str(root.digest)}
    if root.media_type in DOCUMENTS:
        for child in parse_document(root, store.fetch_named(root.digest)[1]).successors:
            found |= reachable(store, child)
    return found


def check_order(source: MemoryStore, destination: Watched) -> None:
    """Children before parents: what was done is complete at every step."""
    done: set[str] = set()
    for call, what in destination.done:
        if call == "push":
            assert reachable(source, source.resolve(what)) - {what} <= done
            assert what not in done
            done.add(what)


@quickly
@given(shapes, jobs, st.sampled_from([Watched, Named]))
def test_each_once_children_first_and_again_costs_one_question(shape: Shape, jobs: int, kind: type[Watched]) -> None:
    source, destination = kind(), Watched()
    root = made(source.store, shape)[-1]
    copy(source, "tag", destination, options=CopyOptions(jobs=jobs))
    assert destination.store.resolve("tag") == root
    assert set(destination.store._contents) == reachable(source.store, root)
    check_order(source.store, destination)
    assert destination.done[-2:] == [("push", root.digest), ("tag", "tag")]
    assert len(set(source.asked("fetch"))) == len(source.asked("fetch"))
    source.calls.clear()
    destination.calls.clear()
    copy(source, "tag", destination, options=CopyOptions(jobs=jobs))
    assert source.calls == destination.calls == [("resolve", "tag")]


@quickly
@given(shapes, jobs, st.sampled_from(["source", "destination"]), st.integers(1, 60), st.integers(0, 30))
def test_a_fault_at_any_step_loses_nothing(shape: Shape, jobs: int, side: str, step: int, before: int) -> None:
    source, destination = Watched(), Watched()
    documents = made(source.store, shape)
    copy(source, documents[before % len(documents)].digest, destination, options=CopyOptions(jobs=jobs))
    destination.store._tags.clear()
    destination.done.clear()
    fails = FailsAt(step, NetworkFault("gone"))
    (source if side == "source" else destination).meddle = fails
    there = set(destination.store._contents)
    sides = []
    try:
        copy(source, "tag", destination, options=CopyOptions(jobs=jobs))
    except CopyFault as fault:
        sides.append(fault.side)
    assert sides == ([side] if fails.has_failed else [])
    assert list(destination.store.tags()) == ([] if sides else ["tag"])
    wait_for_threads()
    event(f"failed: {fails.has_failed}")
    assert source.still_open == 0
    for call, what in destination.done:
        if call == "push":
            assert reachable(source.store, source.store.resolve(what)) <= set(destination.store._contents)
            assert what not in there
    source.meddle = destination.meddle = lambda call, what: None
    copy(source, "tag", destination, options=CopyOptions(jobs=jobs))
    assert reachable(source.store, documents[-1]) <= set(destination.store._contents)
    assert destination.store.resolve("tag") == documents[-1]
    assert all(map(destination.store.exists, documents))


@quickly
@given(shapes, jobs, st.data())
def test_a_damaged_piece_is_found_and_there_is_no_tag(shape: Shape, jobs: int, data: st.DataObject) -> None:
    source, destination = Watched(), Watched()
    root = made(source.store, shape)[-1]
    pieces = sorted(one for one in reachable(source.store, root) if source.store._contents[one])  # type: ignore[index]
    bad = data.draw(st.sampled_from(pieces))
    content = bytearray(source.store._contents[bad])  # type: ignore[index]
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    source.store._contents[bad] = bytes(content)  # type: ignore[index]
    with pytest.raises(CopyFault) as failed:
        copy(source, "tag", destination, options=CopyOptions(jobs=jobs))
    assert (failed.value.side, failed.value.exit_code) == ("source", 5)
    assert failed.value.descriptor is not None
    assert failed.value.descriptor.digest == bad
    assert list(destination.store.tags()) == []
    assert bad not in destination.store._contents
