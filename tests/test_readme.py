"""The README's tour and the examples of docs/, run from top to bottom: each prints what stands there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.stores.repositories import LayoutRoot
from dockless.testing.images import demo_images
from tests.faces.command import stored
from tests.faces.places import shop

ROOT = Path(__file__).parent.parent
OLD, NEW = "127.0.0.1:5000", "127.0.0.1:5001"
STEP = re.compile(
    r"^\$ dockless (?P<words>.+)\n(?P<printed>(?:(?!\$|```).*\n)*)"
    r"|^```python\n(?P<code>(?:(?!```).*\n)*)```\n(?:\n```console\n(?P<said>(?:(?!\$|```).*\n)*)```)?",
    re.MULTILINE,
)


class Said(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


class Tour:
    """Runs commands in one directory; `names` are what pages call the registries, each with where it is."""

    def __init__(self, names: Mapping[str, str], cwd: Path) -> None:
        self._names = names
        self._cwd = cwd

    def dockless(self, words: str) -> Said:
        return self._run("-m", "dockless", *words.split())

    def python(self, code: str) -> Said:
        return self._run("-c", code)

    def _run(self, *command: str) -> Said:
        real = [self._replaced(word, self._names) for word in command]
        ended = subprocess.run(
            [sys.executable, *real],
            capture_output=True,
            text=True,
            cwd=self._cwd,
            env={**os.environ, "XDG_CACHE_HOME": str(self._cwd / ".cache")},
            check=False,
            timeout=60,
        )
        written = {real: name for name, real in self._names.items()}
        return Said(ended.returncode, self._replaced(ended.stdout, written), self._replaced(ended.stderr, written))

    def _replaced(self, text: str, table: Mapping[str, str]) -> str:
        for old, new in table.items():
            text = text.replace(old, new)
        return text


@pytest.fixture
def tour(tmp_path: Path) -> Iterator[Tour]:
    """An old registry with the demo's image, and a new one with an image for two platforms."""
    images = demo_images()
    old = stored(tmp_path / "old", images, {"1.0": images[0], "latest": images[0]}, "library/demo")
    new = LayoutRoot(tmp_path / "new")
    shop(new.create("team/shop"))
    here = tmp_path / "here"
    here.mkdir()
    with EmbeddedRegistry(old) as first, EmbeddedRegistry(new) as second:
        yield Tour({OLD: first.host, NEW: second.host}, here)


def steps(page: str) -> list[re.Match[str]]:
    return list(STEP.finditer((ROOT / page).read_text(encoding="utf-8")))


def test_the_readme_shows_results(tour: Tour) -> None:
    tried = steps("README.md")
    assert len([one for one in tried if one["words"]]) >= 10
    assert len([one for one in tried if one["code"]]) >= 2
    for step in tried:
        said = tour.dockless(step["words"]) if step["words"] else tour.python(step["code"])
        assert said.code == 0, said.err
        assert said.out.strip() == (step["printed"] or step["said"] or "").strip(), step[0]


def test_the_reference_of_the_command_line_shows_all_that_is_said(tour: Tour) -> None:
    tried = steps("docs/cli.md")
    assert len(tried) >= 25
    for step in tried:
        said = tour.dockless(step["words"])
        assert (said.code != 0) is ("error: " in step["printed"]), said
        if step["words"].endswith(" --json"):
            assert json.loads(said.out) == json.loads(step["printed"]), step[0]
        else:  # several blobs at once end in any order
            assert sorted((said.err + said.out).splitlines()) == sorted(step["printed"].splitlines()), step[0]


def test_the_examples_of_the_library_run(tour: Tour) -> None:
    tried = [one for one in steps("docs/library.md") if one["code"]]
    assert len(tried) >= 3
    for step in tried:
        code = step["code"].replace("alpine:3.20", "registry.example/team/shop:1.0")
        said = tour.python(code.replace("registry.example", NEW))
        assert (said.code, said.err) == (0, ""), step[0]
