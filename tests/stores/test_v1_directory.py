"""Images in a directory: what counts as one, what is refused, and two processes at once."""

import json
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from dockless.model.errors import DocklessError, InvalidDocument, LocalFault, NotFound, SizeMismatch
from dockless.model.events import BlobFinished, Event
from dockless.model.image_id import ImageId
from dockless.stores.base import V1Image
from dockless.stores.files import FileReader
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import MadeImage, make_image
from dockless.wire.stream import BytesReader, Reader, pump
from tests.scripted import NAME

IMAGES = make_image({"a": b"1"}, {"b": b"2"}, {"c": b"3"})
TOP, MIDDLE, BASE = IMAGES
NOBODY = ImageId("0123456789abcdef")
BAD_IDS = [".", "..", "../x", "/etc", "A" * 64, TOP.id[:63], TOP.id + "\n", TOP.id + "/..", "0123456789abcde\0"]


def whole(image: MadeImage) -> V1Image:
    return V1Image(image.id, image.raw, len(image.layer), image.checksum)


def put(store: V1Directory, *images: MadeImage) -> V1Directory:
    for image in reversed(images):
        store.add(whole(image), partial(BytesReader, image.layer))
    return store


def never(offset: int) -> Reader:
    raise AssertionError("the layer was asked for")


def layer_of(store: V1Directory, image: MadeImage, offset: int = 0) -> bytes:
    found = bytearray()
    reader = store.layer(whole(image), offset)
    try:
        pump(reader, found.extend)
    finally:
        reader.close()
    return bytes(found)


@pytest.fixture
def store(tmp_path: Path) -> V1Directory:
    return V1Directory(tmp_path / "images")


class TestAdd:
    def test_an_image_is_laid_out_as_docker_save_did(self, store: V1Directory) -> None:
        put(store, TOP)
        assert (store.root / TOP.id / "json").read_bytes() == TOP.raw
        assert (store.root / TOP.id / "layer.tar").read_bytes() == TOP.layer
        assert (store.root / TOP.id / "VERSION").read_bytes() == b"1.0"

    @pytest.mark.parametrize(("checksum", "verified"), [(TOP.checksum, True), (None, False)])
    def test_it_says_whether_a_checksum_agreed(self, store: V1Directory, checksum: str | None, verified: bool) -> None:
        image = V1Image(TOP.id, TOP.raw, len(TOP.layer), checksum)
        assert store.add(image, partial(BytesReader, TOP.layer)) is verified

    @pytest.mark.parametrize("size", [len(TOP.layer), None])
    def test_an_image_that_is_here_is_not_fetched_again(self, tmp_path: Path, size: int | None) -> None:
        events: list[Event] = []
        store = put(V1Directory(tmp_path, events.append), TOP)
        events.clear()
        assert store.add(V1Image(TOP.id, TOP.raw, size, TOP.checksum), never) is None
        assert events == [BlobFinished(TOP.id, len(TOP.layer), None)]

    def test_a_layer_of_the_wrong_size_is_fetched_again(self, store: V1Directory) -> None:
        put(store, TOP)
        (store.root / TOP.id / "layer.tar").write_bytes(b"short")
        assert store.add(whole(TOP), partial(BytesReader, TOP.layer)) is True
        assert layer_of(store, TOP) == TOP.layer

    @pytest.mark.parametrize("missing", ["json", "layer.tar"])
    def test_an_image_that_is_not_whole_is_fetched_again(self, store: V1Directory, missing: str) -> None:
        put(store, TOP)
        (store.root / TOP.id / missing).unlink()
        assert store.add(whole(TOP), partial(BytesReader, TOP.layer)) is True
        assert store.image(TOP.id).raw == TOP.raw
        assert layer_of(store, TOP) == TOP.layer

    def test_damage_leaves_no_image(self, store: V1Directory) -> None:
        with pytest.raises(SizeMismatch):
            store.add(whole(TOP), partial(BytesReader, b"short"))
        assert list((store.root / TOP.id).iterdir()) == []
        with pytest.raises(NotFound):
            store.image(TOP.id)

    def test_a_partial_layer_is_continued(self, store: V1Directory) -> None:
        home = store.root / TOP.id
        home.mkdir(parents=True)
        (home / f".layer.tar.{TOP.id[:16]}.partial").write_bytes(TOP.layer[:100])
        offsets: list[int] = []

        def opening(offset: int) -> Reader:
            offsets.append(offset)
            return BytesReader(TOP.layer, offset)

        assert store.add(whole(TOP), opening) is True
        assert offsets == [100]

    def test_a_file_in_its_place_is_a_local_fault(self, store: V1Directory) -> None:
        store.root.mkdir()
        (store.root / TOP.id).write_text("mine")
        with pytest.raises(LocalFault, match=TOP.id):
            store.add(whole(TOP), never)


class TestImage:
    def test_it_comes_back_as_it_went_in(self, store: V1Directory) -> None:
        assert put(store, TOP).image(TOP.id) == whole(TOP)

    def test_one_that_came_without_a_checksum_has_none(self, store: V1Directory) -> None:
        image = V1Image(TOP.id, TOP.raw, len(TOP.layer), None)
        store.add(image, partial(BytesReader, TOP.layer))
        assert store.image(TOP.id) == image

    def test_the_checksum_outlives_the_process(self, store: V1Directory) -> None:
        put(store, TOP)
        assert V1Directory(store.root).image(TOP.id).checksum == TOP.checksum

    def test_one_that_is_not_here_is_not_found(self, store: V1Directory) -> None:
        with pytest.raises(NotFound, match=f"no image {NOBODY}"):
            put(store, TOP).image(NOBODY)

    @pytest.mark.parametrize("missing", ["json", "layer.tar"])
    def test_one_that_is_not_whole_is_no_image(self, store: V1Directory, missing: str) -> None:
        put(store, TOP)
        (store.root / TOP.id / missing).unlink()
        for ask in (store.image, store.ancestry):
            with pytest.raises(NotFound):
                ask(TOP.id)

    @pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
    def test_a_layer_that_is_a_link_is_refused(self, store: V1Directory, tmp_path: Path) -> None:
        put(store, TOP)
        secret = tmp_path / "secret"
        secret.write_bytes(TOP.layer)
        path = store.root / TOP.id / "layer.tar"
        path.unlink()
        path.symlink_to(secret)
        for ask in (store.image, store.ancestry, lambda _: store.layer(whole(TOP))):
            with pytest.raises(NotFound):
                ask(TOP.id)

    @pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
    def test_adding_replaces_such_a_link_and_not_what_it_leads_to(self, store: V1Directory, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"mine")
        (store.root / TOP.id).mkdir(parents=True)
        (store.root / TOP.id / "layer.tar").symlink_to(secret)
        put(store, TOP)
        assert layer_of(store, TOP) == TOP.layer
        assert secret.read_bytes() == b"mine"

    @pytest.mark.parametrize("bad", BAD_IDS)
    def test_what_is_no_id_reaches_no_path(self, store: V1Directory, bad: str) -> None:
        put(store, TOP)
        for name in ("json", "layer.tar"):  # a mistake would find these
            (store.root / name).write_bytes(TOP.raw)
        bad_id = ImageId(bad)
        for ask in (store.image, lambda _: store.layer(V1Image(bad_id, b"{}")), lambda _: store.tag(NAME, "1", bad_id)):
            with pytest.raises((NotFound, InvalidDocument)):
                ask(bad_id)

    @pytest.mark.parametrize("offset", [0, 1, len(TOP.layer) - 1, len(TOP.layer)])
    def test_a_layer_is_read_from_an_offset(self, store: V1Directory, offset: int) -> None:
        assert layer_of(put(store, TOP), TOP, offset) == TOP.layer[offset:]

    def test_a_reader_of_a_file_goes_chunk_by_chunk(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(bytes(range(256)) * 4096)
        reader = FileReader(tmp_path / "file")
        try:
            sizes = [len(chunk) for chunk in iter(reader.read_chunk, memoryview(b""))]
        finally:
            reader.close()
            reader.close()
        assert len(sizes) > 1
        assert sum(sizes) == 1 << 20


class TestAncestry:
    @pytest.mark.parametrize("image", IMAGES)
    def test_it_goes_from_the_image_down_to_the_base(self, store: V1Directory, image: MadeImage) -> None:
        ids = [one.id for one in IMAGES]
        assert put(store, *IMAGES).ancestry(image.id) == ids[ids.index(image.id) :]

    def test_a_parent_that_is_not_here_is_not_found(self, store: V1Directory) -> None:
        with pytest.raises(NotFound, match=BASE.id):
            put(store, TOP, MIDDLE).ancestry(TOP.id)

    @pytest.mark.parametrize("parent", [TOP.id, MIDDLE.id, "../../etc", "A" * 64])
    def test_parents_that_are_no_chain_are_refused(self, store: V1Directory, parent: str) -> None:
        put(store, *IMAGES)
        (store.root / BASE.id / "json").write_text(json.dumps({"parent": parent}))
        with pytest.raises(InvalidDocument, match="not a chain"):
            store.ancestry(TOP.id)

    @pytest.mark.parametrize("raw", [b"{", b"[]", b'{"parent": 5}', b"\xff"])
    def test_json_that_is_none_is_a_clear_error(self, store: V1Directory, raw: bytes) -> None:
        put(store, *IMAGES)
        (store.root / BASE.id / "json").write_bytes(raw)
        with pytest.raises(InvalidDocument, match=f"JSON of image {BASE.id}"):
            store.ancestry(TOP.id)


TAGGING = """
import sys
from pathlib import Path
from dockless.stores.v1_directory import V1Directory
store = V1Directory(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(30):
    store.tag(sys.argv[2], f"{sys.argv[3]}-{number}", sys.argv[4])
"""


class TestTags:
    def test_a_tag_names_an_image(self, store: V1Directory) -> None:
        put(store, *IMAGES).tag(NAME, "1.0", TOP.id)
        store.tag(NAME, "base", BASE.id)
        store.tag("a/b", "1.0", BASE.id)
        assert list(store.repositories()) == ["a/b", NAME]
        assert store.tags(NAME) == {"1.0": TOP.id, "base": BASE.id}
        assert json.loads((store.root / "repositories").read_bytes()) == {
            "a/b": {"1.0": BASE.id},
            NAME: {"1.0": TOP.id, "base": BASE.id},
        }

    def test_a_tag_can_be_moved(self, store: V1Directory) -> None:
        put(store, *IMAGES).tag(NAME, "1.0", BASE.id)
        store.tag(NAME, "1.0", TOP.id)
        assert store.tags(NAME) == {"1.0": TOP.id}

    @pytest.mark.parametrize("there", [[], [TOP], [TOP, MIDDLE]], ids=["none", "no parent", "no base"])
    def test_it_names_only_an_image_that_is_complete(self, store: V1Directory, there: list[MadeImage]) -> None:
        store.root.mkdir()
        with pytest.raises(NotFound):
            put(store, *there).tag(NAME, "1.0", TOP.id)
        assert list(store.repositories()) == []

    def test_an_empty_directory_has_no_repositories(self, store: V1Directory) -> None:
        assert list(store.repositories()) == []
        with pytest.raises(NotFound, match=f"no repository {NAME}"):
            store.tags(NAME)

    @pytest.mark.parametrize("raw", [b"", b"nonsense", b"[]", b'{"a/b": 5}', b'{"a/b": {"1": null}}', b"\xff"])
    def test_repositories_that_are_no_json_are_a_clear_error_and_stay(self, store: V1Directory, raw: bytes) -> None:
        path = put(store, BASE).root / "repositories"
        path.write_bytes(raw)
        for ask in (store.repositories, partial(store.tags, NAME), partial(store.tag, NAME, "1.0", BASE.id)):
            with pytest.raises(DocklessError, match="repositories is not what it should be") as caught:
                ask()
            assert isinstance(caught.value, InvalidDocument)
        assert path.read_bytes() == raw

    @pytest.mark.parametrize("name", ["repositories", f"{BASE.id}/json"])
    def test_what_cannot_be_read_is_a_local_fault(self, store: V1Directory, name: str) -> None:
        path = put(store, BASE).root / name
        path.unlink(missing_ok=True)
        path.mkdir()
        with pytest.raises(LocalFault, match="cannot read"):
            store.image(BASE.id) if name != "repositories" else store.repositories()

    def test_a_lock_that_cannot_be_had_is_a_local_fault(self, store: V1Directory) -> None:
        put(store, BASE)
        (store.root / ".lock").mkdir()
        with pytest.raises(LocalFault):
            store.tag(NAME, "1.0", BASE.id)

    def test_two_processes_lose_no_tag(self, store: V1Directory) -> None:
        put(store, BASE)
        with ExitStack() as stack:
            processes = [
                stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-c", TAGGING, str(store.root), NAME, who, BASE.id],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
                for who in ("one", "two")
            ]
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            assert [process.wait(100) for process in processes] == [0, 0]
        assert store.tags(NAME) == {f"{who}-{number}": BASE.id for who in ("one", "two") for number in range(30)}
