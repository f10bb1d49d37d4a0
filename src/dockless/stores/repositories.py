"""Many repositories in one place: below a directory, or in memory.

Rules:
* A repository NAME below a directory is the OCI layout at DIRECTORY/NAME, slashes included: `oci:ROOT/library/demo` and
  `HOST/library/demo` are the same content.
* A name is checked against the distribution specification before it becomes a path. What a layout holds itself
  (`blobs`, `index.json`, `oci-layout`) is no component of a name, so that no repository lies inside another's content.
* A symbolic link is never followed: what lies behind one is not here.
"""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from dockless.model.errors import InvalidReference, NotFound
from dockless.model.events import Observer, ignore
from dockless.model.layout_index import INDEX_FILE_NAME, LAYOUT_FILE_NAME
from dockless.model.printable import printable
from dockless.model.reference import is_repository
from dockless.stores.base import Repository
from dockless.stores.files import local_faults
from dockless.stores.memory import MemoryStore
from dockless.stores.oci_layout import OciLayout

_RESERVED = frozenset({"blobs", INDEX_FILE_NAME, LAYOUT_FILE_NAME})
_DEEPEST = 32  # components
_MOST_DIRECTORIES = 100_000


class LayoutRoot:
    """The OCI layouts below the directory `root`, which is made if it is not there; Repositories."""

    def __init__(self, root: Path, observe: Observer = ignore) -> None:
        self.root = root
        self._observe = observe
        with local_faults(root):
            root.mkdir(parents=True, exist_ok=True)

    @property
    def scratch(self) -> Path:
        """The root."""
        return self.root

    def names(self) -> Iterator[str]:
        """Yield the names, in order; what lies deeper than 32 components is not looked at."""
        return iter(sorted(self._layouts()))

    def open(self, name: str) -> Repository:
        """Return a repository that is there. Raises NotFound, InvalidReference."""
        path = self._path(name)
        if not _is_layout(path):
            raise NotFound(f"no repository {name} in {self.root}")
        return OciLayout(path, self._observe)

    def create(self, name: str) -> Repository:
        """Return a repository, which is there once something is put into it. Raises InvalidReference, NotFound."""
        return OciLayout(self._path(name), self._observe)

    def _path(self, name: str) -> Path:
        components = name.split("/")
        if not is_repository(name) or not _RESERVED.isdisjoint(components) or len(components) > _DEEPEST:
            raise InvalidReference(f"not a name for a repository here: {printable(name, 300)!r}")
        path = self.root
        for component in components:
            path = path / component
            if path.is_symlink():
                raise NotFound(f"no repository {name} in {self.root}: {path} is a symbolic link")
        return path

    def _layouts(self) -> Iterator[str]:
        waiting = [""]
        for _ in range(_MOST_DIRECTORIES):
            if not waiting:
                return
            above = waiting.pop()
            for entry in _directories(self.root / above):
                name = f"{above}/{entry}" if above else entry
                if is_repository(name) and entry not in _RESERVED and name.count("/") < _DEEPEST:
                    waiting.append(name)
            if above and _is_layout(self.root / above):
                yield above


class MemoryRepositories:
    """Repositories in memory, gone with this object; Repositories."""

    scratch: Path | None = None

    def __init__(self) -> None:
        self._stores: dict[str, MemoryStore] = {}
        self._lock = threading.Lock()

    def names(self) -> Iterator[str]:
        """Yield the names, in order."""
        with self._lock:
            return iter(sorted(self._stores))

    def open(self, name: str) -> Repository:
        """Return a repository that is there. Raises NotFound."""
        try:
            return self._stores[name]
        except KeyError:
            raise NotFound(f"no repository {printable(name, 300)} in memory") from None

    def create(self, name: str) -> Repository:
        """Return a repository, new if it was not there. Raises InvalidReference."""
        if not is_repository(name):
            raise InvalidReference(f"not a name for a repository: {printable(name, 300)!r}")
        with self._lock:
            return self._stores.setdefault(name, MemoryStore())


def _is_layout(path: Path) -> bool:
    try:
        return stat.S_ISREG((path / LAYOUT_FILE_NAME).lstat().st_mode)
    except OSError:
        return False


def _directories(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []  # gone meanwhile, or not for us to read
