"""The README's tour, run: every command and every piece of Python in it prints what stands there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.stores.base import V1Image
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import demo_images
from dockless.wire.stream import BytesReader

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PLACE = "127.0.0.1:5000"
COMMANDS = re.findall(r"^\$ dockless (.+)\n((?:(?!\$|```).*\n)*)", README, re.MULTILINE)
PIECES = re.findall(r"```python\n(.*?)```\n\n```console\n(.*?)```", README, re.DOTALL)


@pytest.fixture(name="host", scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    images = demo_images()
    store = V1Directory(tmp_path_factory.mktemp("readme"))
    for one in images:
        store.add(V1Image(one.id, one.raw, len(one.layer), one.checksum), partial(BytesReader, one.layer))
    for tag in ("1.0", "latest"):
        store.tag("library/demo", tag, images[0].id)
    with EmbeddedRegistry(store) as running:
        yield running.host


def printed(command: list[str], host: str, cwd: Path) -> str:
    said = subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=True, timeout=60)
    return said.stdout.replace(host, PLACE)


def test_there_is_a_tour() -> None:
    assert len(COMMANDS) >= 4
    assert len(PIECES) >= 2


@pytest.mark.parametrize(("words", "output"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_a_command(words: str, output: str, host: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dockless", *words.replace(PLACE, host).split()]
    assert printed(command, host, tmp_path).strip() == output.strip()


@pytest.mark.parametrize(("code", "output"), PIECES)
def test_a_piece_of_python(code: str, output: str, host: str, tmp_path: Path) -> None:
    assert printed([sys.executable, "-c", code.replace(PLACE, host)], host, tmp_path).strip() == output.strip()
