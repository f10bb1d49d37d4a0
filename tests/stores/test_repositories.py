"""Many repositories in one place: names, borders, what is not looked at."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from dockless.model.errors import InvalidReference, LocalFault, NotFound
from dockless.model.reference import is_repository
from dockless.stores.base import Repositories
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import LayoutRoot, MemoryRepositories, _directories
from dockless.testing.contract import CONTENT, LAYER, got, image, put

NAMES = ["a", "a-b", "a/b", "a/b/c", "library/demo", "z0.y_x__w---v/1"]


@pytest.fixture(params=["memory", "layouts"])
def repositories(request: pytest.FixtureRequest, tmp_path: Path) -> Repositories:
    return MemoryRepositories() if request.param == "memory" else LayoutRoot(tmp_path / "root")


def test_both_are_repositories(repositories: Repositories) -> None:
    assert isinstance(repositories, Repositories)
    assert list(repositories.names()) == []


def test_each_is_a_place_of_its_own(repositories: Repositories) -> None:
    for name in reversed(NAMES):
        store = repositories.create(name)
        store.tag(image(store, name.encode()), "1")
    assert list(repositories.names()) == sorted(NAMES)
    for name in NAMES:
        for store in (repositories.open(name), repositories.create(name)):
            assert store.resolve("1").size > 0
        assert not repositories.open(name).exists(LAYER)
    put(repositories.open("a"), CONTENT)
    assert [name for name in NAMES if repositories.open(name).exists(LAYER)] == ["a"]


def test_what_is_not_there(repositories: Repositories) -> None:
    put(repositories.create("a/b"), CONTENT)
    for name in ("a", "b", "a/b/c"):
        with pytest.raises(NotFound):
            repositories.open(name)


@pytest.mark.parametrize(
    "name", ["", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "A", "a b", "a\x00", "a\n", "_a"]
)
def test_a_name_that_is_none(repositories: Repositories, name: str) -> None:
    with pytest.raises(InvalidReference):
        repositories.create(name)
    with pytest.raises((InvalidReference, NotFound)):
        repositories.open(name)


@given_any(st.text(alphabet="ab0._-/A\\:é\x00", max_size=40))
def test_no_name_leads_out_of_the_root(name: str) -> None:
    if is_repository(name):
        MemoryRepositories().create(name)
        path = Path("/root", name)
        assert path.parts == ("/", "root", *name.split("/"))
        assert not {".", "..", ""} & set(path.parts)
    else:
        with pytest.raises(InvalidReference):
            MemoryRepositories().create(name)


@pytest.mark.parametrize("call", [LayoutRoot.open, LayoutRoot.create])
@pytest.mark.parametrize(
    "name", ["blobs", "a/blobs", "a/blobs/sha256", "a/index.json", "oci-layout", "b/oci-layout/c", "a/" * 32 + "a"]
)
def test_no_repository_lies_inside_another_s_content(
    tmp_path: Path, name: str, call: Callable[[LayoutRoot, str], object]
) -> None:
    root = LayoutRoot(tmp_path)
    put(root.create("a"), CONTENT)
    with pytest.raises(InvalidReference):
        call(root, name)


def test_nothing_is_made_before_something_is_put(tmp_path: Path) -> None:
    root = LayoutRoot(tmp_path / "deep" / "root")
    root.create("a/b")
    assert list(root.root.iterdir()) == []
    assert root.scratch == root.root


def test_a_repository_is_the_layout_of_its_name(tmp_path: Path) -> None:
    root = LayoutRoot(tmp_path)
    put(root.create("library/demo"), CONTENT)
    assert got(OciLayout(tmp_path / "library" / "demo"), LAYER) == CONTENT
    other = OciLayout(tmp_path / "made" / "elsewhere")
    put(other, CONTENT)
    assert list(root.names()) == ["library/demo", "made/elsewhere"]


def test_links_are_not_followed(tmp_path: Path) -> None:
    put(OciLayout(tmp_path / "outside" / "secret"), CONTENT)
    root = LayoutRoot(tmp_path / "root")
    put(root.create("a"), CONTENT)
    (root.root / "link").symlink_to(tmp_path / "outside")
    (root.root / "a" / "link").symlink_to(tmp_path / "outside" / "secret")
    (root.root / "around").mkdir()
    (root.root / "around" / "again").symlink_to(root.root)
    (root.root / "fake").mkdir()
    (root.root / "fake" / "oci-layout").symlink_to(tmp_path / "outside" / "secret" / "oci-layout")
    assert list(root.names()) == ["a"]
    for name in ("link/secret", "a/link", "around/again/a", "fake"):
        with pytest.raises(NotFound):
            root.open(name)
    for name in ("link/secret", "a/link", "link/new"):
        with pytest.raises(NotFound):
            root.create(name)


def test_what_is_no_repository_is_not_listed(tmp_path: Path) -> None:
    root = LayoutRoot(tmp_path)
    put(root.create("a"), CONTENT)
    for name in ("UPPER", ".hidden", "_x", "a/blobs/sha256/x", "plain"):
        (tmp_path / name).mkdir(parents=True)
    put(OciLayout(tmp_path / "UPPER" / "b"), CONTENT)
    put(OciLayout(tmp_path / "a" / "blobs" / "c"), CONTENT)
    put(OciLayout(tmp_path.joinpath(*["d"] * 33)), CONTENT)
    (tmp_path / "file").write_bytes(b"")
    assert list(root.names()) == ["a"]


def test_only_so_many_directories_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = LayoutRoot(tmp_path)
    for number in range(10):
        put(root.create(f"r{number}"), CONTENT)
    monkeypatch.setattr("dockless.stores.repositories._MOST_DIRECTORIES", 5)
    assert len(list(root.names())) == 4


def test_a_directory_that_is_gone_meanwhile_hides_no_other(tmp_path: Path) -> None:
    assert _directories(tmp_path / "gone") == []


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalFault):
        LayoutRoot(tmp_path / "file")
