"""The borders of the house, read from the sources themselves.

A rule is a function from the package's directory to its offenders. Every rule is tested twice: the package has no
offenders, and a small tree that breaks the rule has one.
"""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "dockless"
FLOORS = ("model", "wire", "net", "stores", "ops", "faces")
MOST_LINES = 500

ROOT_FACES = {"__init__.py", "__main__.py", "v1.py"}
VERSION = "dockless.__version__"  # the package's own constant: anyone may say which version this is

# Which places may use a name, or anything below it. A place is a floor, a directory of one, or a file.
NETWORK = {
    "asyncio": ("net", "faces/server", "faces/aio.py"),
    "http.client": ("net", "testing"),
    "pyreqwest": ("net/http.py",),
    "socket": ("net", "faces/server", "testing"),
    "ssl": ("net", "testing"),
    "subprocess": ("net",),
    "urllib.request": ("net",),
}
CLOCKS = dict.fromkeys(
    (
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "threading",
        "time.monotonic",
        "time.perf_counter",
        "time.sleep",
        "time.time",
    ),
    ("net", "stores", "ops", "faces", "testing"),
)
OUTSIDE_WORLD = dict.fromkeys(
    (
        "builtins.exit",
        "builtins.input",
        "builtins.print",
        "builtins.quit",
        "builtins.SystemExit",
        "click",
        "os._exit",
        "os.environ",
        "os.environb",
        "os.getenv",
        "os.putenv",
        "rich",
        "sys.argv",
        "sys.exit",
        "sys.stderr",
        "sys.stdin",
        "sys.stdout",
    ),
    ("faces",),
)
SERVER = dict.fromkeys(("starlette", "uvicorn"), ("faces/server",))
HIDDEN_IMPORTS = dict.fromkeys(("builtins.__import__", "importlib.import_module"), ("faces",))
DRAWERS = {"utils", "helpers", "common"}
LATE = {"click", "rich", "pyreqwest", "msgspec"}


# --- What a module says -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    """A source file; `path` is its place in the package, `name` what one imports it by."""

    path: PurePosixPath
    name: str
    tree: ast.Module

    @property
    def place(self) -> PurePosixPath:
        """The path; what lies directly in the package counts as lying in faces."""
        return self.path if len(self.path.parts) > 1 else "faces" / self.path

    def imports(self, nodes: Iterator[ast.AST] | None = None) -> Iterator[tuple[int, str]]:
        """Yield line and absolute dotted name of everything imported by `nodes`, by default all of the module."""
        for node in nodes or ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                source = self._source(node)
                yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)

    def at_once(self) -> Iterator[ast.AST]:
        """Yield what runs when the module is imported: not functions, nor what is for type checkers only."""
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            node = waiting.pop()
            yield node
            if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
                waiting.extend(node.orelse)
            elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                waiting.extend(ast.iter_child_nodes(node))

    def uses(self) -> Iterator[tuple[int, str]]:
        """Yield line and dotted name of everything imported, reached through an import, or built in."""
        yield from self.imports()
        known = self._known()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute | ast.Name):
                root, *rest = ast.unparse(node).split(".")
                if root.isidentifier():
                    yield node.lineno, ".".join([known.get(root, f"builtins.{root}"), *rest])

    def _known(self) -> dict[str, str]:
        known = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    known[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    known[alias.asname or alias.name] = f"{self._source(node)}.{alias.name}"
        return known

    def _source(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        above = ["dockless", *self.path.parts][: -node.level]
        return ".".join([*above, node.module] if node.module else above)


def modules(package: Path) -> Iterator[Module]:
    for file in sorted(package.rglob("*.py")):
        path = PurePosixPath(file.relative_to(package).as_posix())
        parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
        yield Module(path, ".".join(["dockless", *parts]), parsed(file))


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes(), file)


def is_in(name: str, whole: str) -> bool:
    return name == whole or name.startswith(f"{whole}.")


def own_imports(package: Path) -> Iterator[tuple[Module, int, str]]:
    for module in modules(package):
        for line, name in module.imports():
            if is_in(name, "dockless"):
                yield module, line, name


def strangers(package: Path, homes: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the uses of the names in `homes` outside the places given there."""
    found = {
        f"{module.path}:{line}: {name} belongs in {', '.join(places)}"
        for module in modules(package)
        for line, used in module.uses()
        for name, places in homes.items()
        if is_in(used, name) and not any(module.place.is_relative_to(place) for place in places)
    }
    return sorted(found)


# --- Rules ------------------------------------------------------------------------------------------------------------


def unknown_rooms(package: Path) -> list[str]:
    """The package holds the floors, `testing` and the faces of its root, and no other module."""
    return [
        f"{module.path} lies on no floor"
        for module in modules(package)
        if module.path.parts[0] not in {*FLOORS, "testing", *ROOT_FACES}
    ]


def upward_imports(package: Path) -> list[str]:
    """A module imports its own floor and those below."""
    return [
        f"{module.path}:{line}: imports {name}"
        for module, line, name in own_imports(package)
        if name != VERSION and not reaches(module, name)
    ]


def reaches(module: Module, name: str) -> bool:
    target = PurePosixPath(*name.split(".")[1:])
    aim = target.parts[0] if target.parts and target.parts[0] in {*FLOORS, "testing"} else "faces"
    match module.place.parts[0], aim:
        case "testing", "faces":
            return target.is_relative_to("faces/server")
        case "testing", _:
            return True
        case _, "testing":
            return module.place.is_relative_to("faces/cli")
        case floor, _:
            return floor in FLOORS and FLOORS.index(aim) <= FLOORS.index(floor)
    return False


def sideways_imports(package: Path) -> list[str]:
    """Families, the directories of a floor, do not import each other; the command line may import every face."""
    found = []
    for module, line, name in own_imports(package):
        floor, family, *deeper = (*module.path.parts, "", "")[:3]
        target = name.split(".")[1:3]
        if not any(deeper) or floor not in FLOORS or module.path.is_relative_to("faces/cli"):
            continue
        if target[:1] == [floor] and target[1:] not in ([], [family]) and package.joinpath(*target).is_dir():
            found.append(f"{module.path}:{line}: imports {name}")
    return found


def cycles(package: Path) -> list[str]:
    """No module imports itself through others while it is being imported. Names the first cycle."""
    everything = {module.name: module for module in modules(package)}
    graph = {
        name: {target for _, wanted in module.imports(module.at_once()) if (target := owner(wanted, everything))}
        for name, module in everything.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return [" < ".join(error.args[1])]
    return []


def owner(name: str, everything: Mapping[str, Module]) -> str:
    while name and name not in everything:
        name = name.rpartition(".")[0]
    return name


def concrete_stores_in_ops(package: Path) -> list[str]:
    """Of the stores, ops sees the protocol and nothing else."""
    return [
        f"{module.path}:{line}: imports {name}"
        for module, line, name in own_imports(package)
        if module.path.is_relative_to("ops") and is_in(name, "dockless.stores")
        if not is_in(name, "dockless.stores.base")
    ]


def network_outside_net(package: Path) -> list[str]:
    """Sockets and helper processes are in net; the embedded server and the peers of tests have their side of it."""
    return strangers(package, NETWORK)


def clocks_in_the_cellar(package: Path) -> list[str]:
    """In model and wire the time comes in as an argument, and nothing waits."""
    return strangers(package, CLOCKS)


def outside_world_below_faces(package: Path) -> list[str]:
    """Only faces read the environment, print or exit."""
    return strangers(package, OUTSIDE_WORLD)


def server_outside_its_face(package: Path) -> list[str]:
    """What the extra `server` brings is imported where the extra is needed."""
    return strangers(package, SERVER)


def hidden_imports(package: Path) -> list[str]:
    """Below faces every import is one that these rules can read."""
    return strangers(package, HIDDEN_IMPORTS)


def drawers(package: Path) -> list[str]:
    """No name that says nothing about what is inside."""
    return [
        f"{module.path} is a drawer"
        for module in modules(package)
        if not DRAWERS.isdisjoint(module.path.with_suffix("").parts)
    ]


def long_files(package: Path) -> list[str]:
    """No file is longer than the hard cap."""
    lengths = {module.path: len((package / module.path).read_bytes().splitlines()) for module in modules(package)}
    return [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > MOST_LINES]


def loaded_too_early(package: Path) -> list[str]:
    """`import dockless` costs next to nothing."""
    script = "import sys; sys.path.insert(0, sys.argv[1]); import dockless; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, package.parent], check=True, capture_output=True, text=True, timeout=60
    )
    return sorted(LATE & set(done.stdout.split()))


Rule = Callable[[Path], list[str]]
RULES: list[Rule] = [
    unknown_rooms,
    upward_imports,
    sideways_imports,
    cycles,
    concrete_stores_in_ops,
    network_outside_net,
    clocks_in_the_cellar,
    outside_world_below_faces,
    server_outside_its_face,
    hidden_imports,
    drawers,
    long_files,
    loaded_too_early,
]


# --- The package keeps them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_the_package_keeps(rule: Rule) -> None:
    assert list(modules(PACKAGE))
    assert rule(PACKAGE) == []


# --- And each of them can be broken -----------------------------------------------------------------------------------


HOUSE = (("__init__.py", '__version__ = "1"\n'), ("stores/oci/__init__.py", ""), ("faces/cli/main.py", ""))


def build(directory: Path, *files: tuple[str, str]) -> Path:
    package = directory / "dockless"
    for path, source in (*HOUSE, *files):
        file = package / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
    return package


BROKEN: list[tuple[Rule, str, str]] = [
    (unknown_rooms, "extra/thing.py", ""),
    (unknown_rooms, "v3.py", ""),
    (upward_imports, "model/a.py", "import dockless.wire.http"),
    (upward_imports, "model/a.py", "from dockless.wire import http"),
    (upward_imports, "model/a.py", "from dockless import net"),
    (upward_imports, "model/a.py", "import dockless"),
    (upward_imports, "model/a.py", "from dockless.v1 import get_image"),
    (upward_imports, "model/a.py", "from dockless import Client"),
    (upward_imports, "model/deep/a.py", "from ...net import http"),
    (upward_imports, "model/__init__.py", "from ..net import http"),
    (upward_imports, "wire/a.py", "def late():\n    from dockless.net.http import send"),
    (upward_imports, "wire/a.py", "if TYPE_CHECKING:\n    from dockless.net.http import send"),
    (upward_imports, "net/a.py", "from dockless.stores.base import Store"),
    (upward_imports, "stores/a.py", "from dockless.ops import copy"),
    (upward_imports, "ops/a.py", "from dockless.faces import environment"),
    (upward_imports, "testing/a.py", "from dockless.faces.v1 import Image"),
    (upward_imports, "testing/a.py", "from dockless.faces.cli import main"),
    (upward_imports, "ops/a.py", "from dockless.testing.peer import Peer"),
    (upward_imports, "faces/server/a.py", "from dockless.testing.peer import Peer"),
    (upward_imports, "v1.py", "from dockless.testing.peer import Peer"),
    (sideways_imports, "stores/v1/a.py", "from dockless.stores.oci.layout import open"),
    (sideways_imports, "stores/v1/a.py", "from dockless.stores import oci"),
    (sideways_imports, "faces/server/a.py", "from dockless.faces.cli.main import cli"),
    (concrete_stores_in_ops, "ops/a.py", "from dockless.stores.files import arrive"),
    (concrete_stores_in_ops, "ops/a.py", "from dockless.stores import base, files"),
    (concrete_stores_in_ops, "ops/a.py", "import dockless.stores"),
    (concrete_stores_in_ops, "ops/a.py", "from ..stores import v1"),
    (network_outside_net, "stores/a.py", "import socket"),
    (network_outside_net, "wire/a.py", "from ssl import SSLContext"),
    (network_outside_net, "ops/a.py", "from http import client"),
    (network_outside_net, "ops/a.py", "import urllib\nurllib.request.urlopen('x')"),
    (network_outside_net, "faces/v1.py", "import asyncio"),
    (network_outside_net, "testing/a.py", "import subprocess"),
    (network_outside_net, "faces/cli/a.py", "def late():\n    from subprocess import run"),
    (network_outside_net, "net/session.py", "from pyreqwest.client import SyncClient"),
    (network_outside_net, "v1.py", "import socket"),
    (clocks_in_the_cellar, "model/a.py", "import time as t\nt.sleep(1)"),
    (clocks_in_the_cellar, "wire/a.py", "from time import monotonic"),
    (clocks_in_the_cellar, "wire/a.py", "import threading"),
    (clocks_in_the_cellar, "wire/a.py", "from datetime import UTC, datetime\nnow = datetime.now(UTC)"),
    (outside_world_below_faces, "net/a.py", "import os\nhome = os.environ['HOME']"),
    (outside_world_below_faces, "net/a.py", "from os import getenv as look"),
    (outside_world_below_faces, "net/a.py", "import os.path\nos.environ.get('HOME')"),
    (outside_world_below_faces, "ops/a.py", "def say():\n    print('hello')"),
    (outside_world_below_faces, "ops/a.py", "run(hook=print)"),
    (outside_world_below_faces, "ops/a.py", "import sys\nsys.exit(1)"),
    (outside_world_below_faces, "ops/a.py", "raise SystemExit(1)"),
    (outside_world_below_faces, "stores/a.py", "from click import echo"),
    (outside_world_below_faces, "testing/a.py", "import sys\nsys.stderr.write('hello')"),
    (server_outside_its_face, "faces/cli/a.py", "import uvicorn"),
    (server_outside_its_face, "testing/a.py", "from starlette.requests import Request"),
    (hidden_imports, "wire/a.py", "import importlib\nimportlib.import_module('socket')"),
    (hidden_imports, "wire/a.py", "__import__('socket')"),
    (drawers, "net/utils.py", ""),
    (drawers, "faces/helpers/show.py", ""),
    (drawers, "wire/common.py", ""),
    (long_files, "wire/a.py", "\n" * (MOST_LINES + 1)),
]


@pytest.mark.parametrize(("rule", "path", "source"), BROKEN)
def test_an_offender_is_caught(rule: Rule, path: str, source: str, tmp_path: Path) -> None:
    package = build(tmp_path, (path, source))

    [offender] = rule(package)

    assert offender.startswith(path)


@pytest.mark.parametrize(
    "files",
    [
        [("wire/a.py", "from dockless.wire import b"), ("wire/b.py", "from dockless.wire.a import thing")],
        [("wire/a.py", "from . import b"), ("wire/b.py", "class B:\n    from . import a")],
        [("wire/a.py", "try:\n    import dockless.net.b\nfinally: ..."), ("net/b.py", "from ..wire import a")],
        [("wire/a.py", "from dockless import __version__"), ("__init__.py", "from dockless.wire import a")],
        [("wire/a.py", "import dockless.wire.a")],
        [("wire/a.py", "if TYPE_CHECKING: ...\nelse:\n    from . import b"), ("wire/b.py", "from . import a")],
    ],
)
def test_a_cycle_is_caught(files: list[tuple[str, str]], tmp_path: Path) -> None:
    [cycle] = cycles(build(tmp_path, *files))

    assert "dockless.wire.a" in cycle.split(" < ")


@pytest.mark.parametrize("heavy", sorted(LATE))
def test_an_early_import_is_caught(heavy: str, tmp_path: Path) -> None:
    assert heavy in loaded_too_early(build(tmp_path, ("__init__.py", f"import {heavy}")))


ALLOWED = [
    ("model/a.py", "from dockless.model.errors import NotFound\nfrom dockless import __version__"),
    ("wire/a.py", "import time\nfrom datetime import datetime\ntime.strftime('%Y')\ndatetime.fromtimestamp(0)"),
    ("wire/a.py", "printable = blueprint.print('x')\nself.input.exit()"),
    ("net/http.py", "import socket, ssl, subprocess, threading, time, pyreqwest\ntime.sleep(1)"),
    ("stores/open.py", "from dockless.stores.oci import layout\nfrom dockless.net.session import Session"),
    ("stores/oci/layout.py", "from dockless.stores.base import Store\nfrom . import index\nfrom .index import Index"),
    ("ops/a.py", "from dockless.stores.base import Store\nfrom dockless.stores import base"),
    ("faces/server/a.py", "import asyncio, socket, starlette, uvicorn"),
    ("faces/cli/a.py", "import click, os, sys\nprint(os.environ)\nfrom dockless.faces.server import app"),
    ("faces/cli/demo.py", "from dockless.testing.images import demo_images"),
    ("testing/a.py", "import socket, ssl, threading, time\nfrom dockless.faces.server import app\ntime.time()"),
    ("testing/a.py", "from dockless.testing.peer import Peer\nfrom dockless.stores.files import arrive"),
    ("__init__.py", "def __getattr__(name):\n    import importlib\n    return importlib.import_module('dockless.v1')"),
    ("__init__.py", "def __getattr__(name):\n    from dockless.faces import client\n    return client.Client"),
    ("__init__.py", "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from dockless.faces.client import Client"),
    ("wire/long.py", "\n" * MOST_LINES),
]


@pytest.mark.parametrize(("path", "source"), ALLOWED)
def test_what_is_right_passes(path: str, source: str, tmp_path: Path) -> None:
    late = ("faces/client.py", "from dockless import __version__")
    package = build(tmp_path, late, (path, source))

    assert [offender for rule in RULES for offender in rule(package)] == []
