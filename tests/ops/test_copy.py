"""Copy: what comes along, in which order, under which name, and what it costs."""

import json
import threading
import time
from collections.abc import Callable

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.errors import Conflict, CopyFault, InvalidDocument, NotFound, Unsupported
from dockless.model.events import BlobAdvanced, BlobFinished, BlobMounted, BlobQueued, BlobStarted, Event, Notice
from dockless.model.media_types import DOCKER_SCHEMA1, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.model.platform import Platform
from dockless.ops import contents
from dockless.ops.copy import Copied, CopyOptions, copy, copy_graph
from dockless.stores.base import Readable
from dockless.testing.contract import CONTENT, LAYER, got, image, put
from dockless.testing.images import make_image
from tests.graphs import AMD, ARM, document, image_for, index
from tests.watched import Mounting, Named, Watched


def whole(source: Watched) -> Descriptor:
    """Put an index of two images that share a layer under "1.0"."""
    root = index(source.store, *(image_for(source.store, one) for one in ("linux/amd64", "linux/arm64")))
    source.store.tag(root, "1.0")
    return root


def content_of(store: Watched) -> dict[str, bytes]:
    return {digest: bytes(content) for digest, content in store.store._contents.items()}


class TestWhole:
    def test_everything_comes_as_it_was_each_once_children_first_and_the_tag_last(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        copied = copy(source, "1.0", destination)
        assert destination.store.resolve("1.0") == root
        assert content_of(destination) == content_of(source)
        pushed = [what for call, what in destination.done if call == "push"]
        assert sorted(pushed) == sorted(content_of(source))
        assert sorted(source.asked("fetch")) == sorted(content_of(source))
        assert destination.calls[-2:] == [("push", root.digest), ("tag", "1.0")]
        size = sum(map(len, content_of(source).values()))
        assert copied == Copied(root=root, source_root=root, name="1.0", blobs=5, manifests=3, bytes=size)
        assert not copied.changed
        assert source.still_open == 0

    def test_another_name(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        assert copy(source, "1.0", destination, "2.0").name == "2.0"
        assert list(destination.store.tags()) == ["2.0"]
        assert destination.store.resolve("2.0") == root

    def test_a_graph_without_a_name(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        assert copy_graph(source, destination, root, jobs=1).manifests == 3
        assert content_of(destination) == content_of(source)
        assert destination.asked("tag") == []

    def test_a_document_of_an_unknown_type_is_copied_as_it_is(self) -> None:
        source, destination = Watched(), Mounting()
        root = put(source.store, b"neither JSON nor anything", "application/x-strange")
        source.store.tag(root, "odd")
        copied = copy(source, "odd", destination)
        assert (copied.root, copied.manifests) == (root, 1)
        assert destination.asked("mount") == []
        assert content_of(destination) == content_of(source)

    def test_an_entry_of_an_unknown_type_is_a_blob(self) -> None:
        source, destination = Watched(), Watched()
        root = index(source.store, put(source.store, b"anything", "application/x-strange"))
        source.store.tag(root, "odd")
        assert copy(source, "odd", destination).blobs == 1
        assert content_of(destination) == content_of(source)

    def test_the_name_of_a_digest_is_no_tag_but_told(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        assert copy(source, root.digest, destination).name == root.digest
        assert destination.asked("tag") == [root.digest]
        assert "resolve" not in {call for call, _ in destination.calls}

    def test_a_digest_may_get_a_tag(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        copy(source, root.digest, destination, "1.0")
        assert destination.store.resolve("1.0") == root

    def test_another_digest_than_that_of_what_is_copied_is_refused(self) -> None:
        source, destination = Watched(), Watched()
        whole(source)
        with pytest.raises(Conflict, match=LAYER.digest):
            copy(source, "1.0", destination, LAYER.digest)
        assert destination.calls == []


class TestCost:
    @pytest.mark.parametrize("kind", [Watched, Named])
    def test_a_tag_that_is_right_already_costs_one_question_to_each_side(self, kind: type[Watched]) -> None:
        source, destination = kind(), Watched()
        whole(source)
        copy(source, "1.0", destination)
        source.calls.clear()
        destination.calls.clear()
        again = copy(source, "1.0", destination, options=CopyOptions(clobber=False))
        assert source.calls == destination.calls == [("resolve", "1.0")]
        assert (again.manifests, again.blobs, again.present) == (0, 0, 0)

    def test_a_manifest_that_is_there_is_not_followed(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        copy(source, "1.0", destination)
        source.calls.clear()
        destination.calls.clear()
        copied = copy(source, "1.0", destination, "2.0")
        assert source.calls == [("resolve", "1.0")]
        assert destination.calls == [("resolve", "2.0"), ("exists", root.digest), ("tag", "2.0")]
        assert copied == Copied(root=root, source_root=root, name="2.0", present=1)

    def test_a_blob_that_is_there_is_not_read(self) -> None:
        source, destination = Watched(), Watched()
        root = image(source.store)
        source.store.tag(root, "1.0")
        put(destination.store, CONTENT)
        copied = copy(source, "1.0", destination)
        assert LAYER.digest not in source.asked("fetch")
        assert (copied.blobs, copied.present) == (1, 1)

    def test_the_first_pull_of_a_tag_takes_one_trip_for_its_manifest(self) -> None:
        source, destination = Named(), Watched()
        root = image(source.store)
        source.store.tag(root, "1.0")
        copy(source, "1.0", destination)
        assert source.asked("fetch_named") == ["1.0"]
        assert source.asked("resolve") == []
        assert root.digest not in source.asked("fetch")

    def test_small_things_do_not_wait_for_large_blobs(self) -> None:
        source, destination = Watched(), Watched()
        large = [put(source.store, bytes([number]) * (2 << 20)) for number in range(2)]
        images = [image_for(source.store, "linux/amd64", bytes([number])) for number in range(12)]
        held = [document(source.store, OCI_MANIFEST, config=put(source.store, b"{}", OCI_CONFIG), layers=large)]
        source.store.tag(index(source.store, *held, *images), "1.0")
        large_is_read, small_are_there = threading.Event(), threading.Event()

        def wait(call: str, what: str) -> None:
            if call == "read" and what in {one.digest for one in large}:
                large_is_read.set()
                assert small_are_there.wait(20)

        def watch(call: str, what: str) -> None:
            if (call, what) == ("exists", images[0].digest):
                assert large_is_read.wait(20)
            if all(map(destination.store.exists, images)):
                small_are_there.set()

        source.meddle, destination.meddle = wait, watch
        threading.Timer(0.3, lambda: watch("", "")).start()
        assert copy(source, "1.0", destination, options=CopyOptions(jobs=1)).manifests == 14
        assert small_are_there.is_set()

    @pytest.mark.parametrize("jobs", [1, 3])
    def test_at_most_so_many_large_blobs_move_at_once_the_largest_first(self, jobs: int) -> None:
        source, destination = Watched(), Watched()
        layers = [bytes(size << 19) for size in range(3, 11)]
        source.store.tag(image_for(source.store, "linux/amd64", *layers), "1.0")
        large: dict[str, int] = {describe(layer, OCI_LAYER).digest: len(layer) for layer in layers}
        most, known = 0, set[str]()

        def observe(event: Event) -> None:
            if isinstance(event, BlobQueued):
                known.add(event.blob)

        def watch(call: str, what: str) -> None:
            nonlocal most
            if call == "push" and what in large:
                begun, done = destination.asked("push"), [one for _, one in destination.done]
                most = max(most, len((set(begun) - set(done)) & large.keys()))
                until = time.monotonic() + 20
                while not large.keys() <= known:  # all are known before one is through
                    assert time.monotonic() < until
                    time.sleep(0.001)
                time.sleep(0.05)

        destination.meddle = watch
        copy(source, "1.0", destination, options=CopyOptions(jobs=jobs), observe=observe)
        assert most == jobs
        left = [large[what] for what in destination.asked("push") if what in large][jobs:]
        while left:  # as many as begin at once may be noted in any order
            assert left[0] in sorted(left, reverse=True)[:jobs]
            del left[0]


class TestOptions:
    @pytest.mark.parametrize("kind", [Watched, Named])
    def test_a_tag_that_names_something_else_moves(self, kind: type[Watched]) -> None:
        source, destination = kind(), Watched()
        root = whole(source)
        destination.store.tag(image(destination.store), "1.0")
        copy(source, "1.0", destination)
        assert destination.store.resolve("1.0") == root
        assert source.asked("fetch").count(root.digest) == (kind is Watched)

    def test_what_is_copied_may_have_to_have_a_digest(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        with pytest.raises(Conflict, match=LAYER.digest):
            copy(source, "1.0", destination, options=CopyOptions(digest=LAYER.digest))
        assert destination.asked("push") == []
        assert copy(source, "1.0", destination, options=CopyOptions(digest=root.digest)).root == root

    def test_without_clobber_it_stays_and_nothing_is_written(self) -> None:
        source, destination = Watched(), Watched()
        whole(source)
        before = image(destination.store)
        destination.store.tag(before, "1.0")
        with pytest.raises(Conflict, match=before.digest):
            copy(source, "1.0", destination, options=CopyOptions(clobber=False))
        assert destination.store.resolve("1.0") == before
        assert destination.calls == [("resolve", "1.0")]

    def test_without_clobber_a_new_tag_is_set(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        copy(source, "1.0", destination, options=CopyOptions(clobber=False))
        assert destination.store.resolve("1.0") == root

    def test_a_dry_run_says_what_would_be_done_reads_no_blob_and_writes_nothing(self) -> None:
        source, destination = Watched(), Mounting()
        root = whole(source)
        put(destination.store, b"shared by all" * 50)
        events: list[Event] = []
        dry = copy(source, "1.0", destination, options=CopyOptions(dry_run=True), observe=events.append)
        assert {call for call, _ in destination.calls} == {"resolve", "exists"}
        documents = {root.digest, *(one.digest for one in contents.manifests(contents.Contents(source), [root]))}
        assert set(source.asked("fetch")) == documents
        assert dry.present == 1
        assert sum(isinstance(event, BlobQueued) for event in events) == dry.blobs == 4
        assert copy(source, "1.0", Watched(destination.store)) == dry


class TestAbilities:
    def test_what_can_be_mounted_is_not_read(self) -> None:
        source, destination = Watched(), Mounting()
        root = image(source.store)
        source.store.tag(root, "1.0")
        events: list[Event] = []
        copied = copy(source, "1.0", destination, observe=events.append)
        assert source.asked("fetch") == [root.digest]
        assert sorted(destination.asked("mount")) == sorted(content_of(source).keys() - {root.digest})
        assert (copied.mounted, copied.blobs, copied.manifests) == (2, 0, 1)
        assert BlobMounted(LAYER.digest, LAYER.size) in events

    def test_what_cannot_be_mounted_is_sent(self) -> None:
        source, destination = Named(), Mounting()
        destination.mount = lambda wanted, source: False  # type: ignore[method-assign]
        source.store.tag(image(source.store), "1.0")
        assert copy(source, "1.0", destination).blobs == 2
        assert content_of(destination) == content_of(source)

    def test_what_a_descriptor_embeds_is_not_read(self) -> None:
        source, destination = Watched(), Watched()
        config = describe(b"{}", OCI_CONFIG)
        right = Descriptor(OCI_LAYER, describe(b"right", "").digest, 5, data=b"right")
        wrong = Descriptor(OCI_LAYER, put(source.store, b"wrong").digest, 5, data=b"WRONG")
        longer = Descriptor(OCI_LAYER, put(source.store, b"longer").digest, 6, data=b"long")
        put(source.store, b"{}", OCI_CONFIG)
        root = document(source.store, OCI_MANIFEST, config=config, layers=[right, wrong, longer])
        source.store.tag(root, "1.0")
        copy(source, "1.0", destination)
        assert got(destination.store, right) == b"right"
        assert sorted(source.asked("fetch")) == sorted([root.digest, config.digest, wrong.digest, longer.digest])

    def test_what_the_source_brought_by_itself_counts_as_copied(self) -> None:
        class Bringing(Watched):
            delivered = frozenset({LAYER.digest})

        source, destination = Bringing(), Watched()
        source.store.tag(image(source.store), "1.0")
        put(destination.store, CONTENT)
        events: list[Event] = []
        copied = copy(source, "1.0", destination, observe=events.append)
        assert (copied.blobs, copied.present) == (2, 0)
        assert not any(isinstance(event, BlobFinished) and event.blob == LAYER.digest for event in events)

    @pytest.mark.parametrize(
        "foreign",
        [
            Descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", LAYER.digest, LAYER.size),
            Descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", LAYER.digest, LAYER.size),
            Descriptor(OCI_LAYER, LAYER.digest, LAYER.size, urls=("https://example.com/layer",)),
        ],
        ids=lambda one: one.media_type,
    )
    def test_a_foreign_layer_is_copied_where_the_source_has_it_and_never_looked_for(self, foreign: Descriptor) -> None:
        source, destination, other = Watched(), Watched(), Watched()
        config = put(source.store, b"{}", OCI_CONFIG)
        root = document(source.store, OCI_MANIFEST, config=config, layers=[foreign])
        source.store.tag(root, "1.0")
        events: list[Event] = []
        copied = copy(source, "1.0", destination, observe=events.append)
        assert (copied.foreign, copied.blobs) == (1, 1)
        assert [LAYER.digest in event.text for event in events if isinstance(event, Notice)] == [True]
        put(source.store, CONTENT)
        assert copy(source, "1.0", other).foreign == 0
        assert other.store.exists(LAYER)


class TestEvents:
    def test_each_blob_is_told_from_its_beginning_to_its_end(self) -> None:
        source, destination = Watched(), Watched()
        source.store.tag(image(source.store), "1.0")
        events: list[Event] = []
        copy(source, "1.0", destination, observe=events.append)
        told = [
            event for event in events if not isinstance(event, Notice) and getattr(event, "blob", "") == LAYER.digest
        ]
        advanced = [event.done for event in told if isinstance(event, BlobAdvanced)]
        assert told[:2] == [BlobQueued(LAYER.digest, LAYER.size), BlobStarted(LAYER.digest, LAYER.size, 0)]
        assert advanced == sorted(advanced)
        assert advanced[-1] == LAYER.size
        assert told[-1] == BlobFinished(LAYER.digest, LAYER.size, verified=True)

    def test_what_is_there_is_told(self) -> None:
        source, destination = Watched(), Watched()
        source.store.tag(image(source.store), "1.0")
        put(destination.store, CONTENT)
        events: list[Event] = []
        copy(source, "1.0", destination, observe=events.append)
        assert BlobFinished(LAYER.digest, LAYER.size, verified=None) in events

    def test_what_comes_to_be_there_meanwhile_counts_as_there(self) -> None:
        source, destination = Watched(), Watched()
        source.store.tag(image(source.store), "1.0")

        def be_first(call: str, what: str) -> None:
            if (call, what) == ("push", LAYER.digest):
                put(destination.store, CONTENT)

        destination.meddle = be_first
        copied = copy(source, "1.0", destination)
        assert (copied.present, copied.blobs) == (1, 1)

    def test_a_change_of_digest_is_said_aloud(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        events: list[Event] = []
        copied = copy(source, "1.0", destination, options=CopyOptions(platforms=(ARM,)), observe=events.append)
        assert copied.changed
        assert destination.store.resolve("1.0") == copied.root
        (said,) = [event.text for event in events if isinstance(event, Notice)]
        assert root.digest in said
        assert copied.root.digest in said


class TestPlatforms:
    def test_one_is_copied_alone(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        copied = copy(source, "1.0", destination, options=CopyOptions(platforms=(AMD,)))
        assert (copied.source_root, copied.manifests, copied.blobs) == (root, 1, 3)
        assert copied.root.media_type == OCI_MANIFEST

    def test_again_it_costs_one_question_to_each_side(self) -> None:
        source, destination = Named(), Watched()
        whole(source)
        for _ in range(2):
            source.calls.clear()
            destination.calls.clear()
            copy(source, "1.0", destination, options=CopyOptions(platforms=(AMD,)))
        assert source.calls == [("fetch_named", "1.0")]
        assert destination.calls == [("resolve", "1.0")]

    def test_some_make_a_smaller_index(self) -> None:
        source, destination = Watched(), Watched()
        kept = [image_for(source.store, one) for one in ("linux/amd64", "linux/arm64")]
        source.store.tag(index(source.store, kept[0], image_for(source.store, "linux/s390x"), kept[1]), "1.0")
        copied = copy(source, "1.0", destination, options=CopyOptions(platforms=(AMD, ARM)))
        assert copied.changed
        assert list(contents.manifests(contents.Contents(destination), [copied.root])) == [copied.root, *kept]
        assert copied.manifests == 3

    def test_all_there_are_change_nothing(self) -> None:
        source, destination = Watched(), Watched()
        whole(source)
        assert not copy(source, "1.0", destination, options=CopyOptions(platforms=(AMD, ARM))).changed

    def test_of_a_digest_the_name_is_the_new_digest(self) -> None:
        source, destination = Watched(), Watched()
        root = whole(source)
        copied = copy(source, root.digest, destination, options=CopyOptions(platforms=(AMD,)))
        assert copied.name == copied.root.digest != root.digest

    def test_what_is_not_there_is_not_found_and_nothing_is_written(self) -> None:
        source, destination = Watched(), Watched()
        whole(source)
        with pytest.raises(NotFound, match="linux/amd64, linux/arm64"):
            copy(source, "1.0", destination, options=CopyOptions(platforms=(AMD.__class__(os="plan9"),)))
        assert {call for call, _ in destination.calls} == {"resolve"}


def nested(source: Watched, depth: int) -> Descriptor:
    found = image(source.store)
    for _ in range(depth):
        found = index(source.store, found)
    return found


class TestBounds:
    def test_indexes_may_nest(self) -> None:
        source, destination = Watched(), Watched()
        assert copy_graph(source, destination, nested(source, 31)).manifests == 32

    @pytest.mark.parametrize("act", [copy_graph, lambda source, _, root: [*contents.manifests(source, [root])]])
    def test_but_not_without_end(self, act: Callable[..., object]) -> None:
        source = Watched()
        root = nested(source, 34)
        with pytest.raises((CopyFault, InvalidDocument), match="32 deep"):
            act(source if act is copy_graph else contents.Contents(source), Watched(), root)

    def test_nor_may_there_be_more_than_any_image_has(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contents, "MOST", 9)
        source = Watched()
        root = index(source.store, *(image_for(source.store, "linux/amd64", bytes([n])) for n in range(10)))
        with pytest.raises(CopyFault, match="more than 9"):
            copy_graph(source, Watched(), root)

    def test_what_many_indexes_hold_is_found_once(self) -> None:
        source = Watched()
        found = image(source.store)
        for _ in range(12):
            found = index(source.store, index(source.store, found), index(source.store, found, annotations={"a": "b"}))
        assert len(list(contents.manifests(contents.Contents(source), [found]))) == 37
        assert len(source.asked("fetch")) == 36

    def test_a_document_that_is_too_long_is_not_read(self) -> None:
        source, destination = Watched(), Watched()
        root = put(source.store, b" " * ((8 << 20) + 1), OCI_MANIFEST)
        source.store.tag(root, "1.0")
        with pytest.raises(CopyFault, match="too many for a document") as failed:
            copy(source, "1.0", destination)
        assert failed.value.side == "source"
        assert source.asked("fetch") == []

    def test_documents_that_do_not_fit_into_memory_are_read_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contents, "_MOST_KEPT", 0)
        source, destination = Watched(), Watched()
        root = whole(source)
        copy(source, "1.0", destination)
        assert content_of(destination) == content_of(source)
        assert source.asked("fetch").count(root.digest) == 2


def schema1(source: Watched) -> Descriptor:
    """Put a manifest of Docker's schema 1, of one layer, under "1.0"."""
    (made,) = make_image({"etc/motd": b"hello"})
    layer, v1 = put(source.store, made.layer), made.raw.decode()
    body = {"schemaVersion": 1, "fsLayers": [{"blobSum": layer.digest}], "history": [{"v1Compatibility": v1}]}
    root = put(source.store, json.dumps(body).encode(), DOCKER_SCHEMA1)
    source.store.tag(root, "1.0")
    return root


class TestSchema1:
    @pytest.mark.parametrize("kind", [Watched, Named])
    @pytest.mark.parametrize("platforms", [(), (AMD,), (AMD, AMD)])
    def test_it_becomes_an_image_of_oci(self, kind: type[Watched], platforms: tuple[Platform, ...]) -> None:
        source, destination = kind(), Watched()
        root = schema1(source)
        options = CopyOptions(platforms=platforms, referrers=True)
        copied = copy(source, "1.0", destination, options=options)
        assert (copied.source_root, copied.changed, copied.root.media_type) == (root, True, OCI_MANIFEST)
        assert destination.store.resolve("1.0") == copied.root
        assert (copied.blobs, copied.present) == (2, 0)
        assert copy(source, root.digest, destination, options=options).name == copied.root.digest

    def test_of_another_platform_it_is_not_what_is_wanted(self) -> None:
        source, destination = Watched(), Watched()
        schema1(source)
        with pytest.raises(NotFound, match="it has: linux/amd64"):
            copy(source, "1.0", destination, options=CopyOptions(platforms=(ARM,)))

    def test_what_it_becomes_is_not_known_in_a_dry_run(self) -> None:
        source, destination = Watched(), Watched()
        schema1(source)
        with pytest.raises(Unsupported, match="schema 1"):
            copy(source, "1.0", destination, options=CopyOptions(dry_run=True))

    def test_in_an_index_it_is_refused(self) -> None:
        source, destination = Watched(), Watched()
        source.store.tag(index(source.store, schema1(source)), "1.0")
        with pytest.raises(CopyFault, match="schema 1"):
            copy(source, "1.0", destination)
        assert destination.asked("push") == []


def test_a_copy_runs_on_any_thread() -> None:
    source, destination = Watched(), Watched()
    root = whole(source)
    other = threading.Thread(target=copy, args=(source, "1.0", destination))
    other.start()
    other.join(20)
    assert destination.store.resolve("1.0") == root


def test_a_place_that_only_reads_is_a_source() -> None:
    source: Readable = Watched()
    with pytest.raises(CopyFault) as failed:
        copy(source, "1.0", Watched())
    assert failed.value.side == "source"
    assert failed.value.exit_code == NotFound.exit_code
