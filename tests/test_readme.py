"""The README's tour, run from top to bottom: every command and every piece of Python in it prints what stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.stores.base import V1Image
from dockless.stores.repositories import LayoutRoot
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import demo_images
from dockless.wire.stream import BytesReader

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
OLD, NEW = "127.0.0.1:5000", "127.0.0.1:5001"
STEP = re.compile(
    r"^\$ dockless (?P<words>.+)\n(?P<printed>(?:(?!\$|```).*\n)*)"
    r"|^```python\n(?P<code>(?:(?!```).*\n)*)```\n\n```console\n(?P<said>(?:(?!```).*\n)*)```",
    re.MULTILINE,
)


@pytest.fixture(name="hosts", scope="module")
def registries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    images = demo_images()
    store = V1Directory(tmp_path_factory.mktemp("old"))
    for one in images:
        store.add(V1Image(one.id, one.raw, len(one.layer), one.checksum), partial(BytesReader, one.layer))
    for tag in ("1.0", "latest"):
        store.tag("library/demo", tag, images[0].id)
    with EmbeddedRegistry(store) as old, EmbeddedRegistry(LayoutRoot(tmp_path_factory.mktemp("new"))) as new:
        yield {OLD: old.host, NEW: new.host}


def test_the_tour(hosts: dict[str, str], tmp_path: Path) -> None:
    steps = list(STEP.finditer(README))
    assert len([one for one in steps if one["words"]]) >= 10
    assert len([one for one in steps if one["code"]]) >= 2
    for step in steps:
        words, code = step["words"], step["code"]
        command = ["-m", "dockless", *words.split()] if words else ["-c", code]
        assert run(command, hosts, tmp_path) == (step["printed"] or step["said"] or "").strip(), words or code


def run(command: list[str], hosts: dict[str, str], cwd: Path) -> str:
    for written, real in hosts.items():
        command = [word.replace(written, real) for word in command]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cwd / ".cache")}
    said = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=60
    )
    assert said.returncode == 0, said.stderr
    text = said.stdout
    for written, real in hosts.items():
        text = text.replace(real, written)
    return text.strip()
