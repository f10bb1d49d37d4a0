"""The command line as tests run it: in this process where that shows the same, else as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from dockless.faces.cli.main import main
from dockless.stores.base import V1Image
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import MadeImage
from dockless.testing.peer import Peer
from dockless.wire.stream import BytesReader
from tests.scripted import NAME, endpoint, index

# What a server may try on a terminal: a style, a title, a bell, C1's CSI, DEL, a carriage return, bidi overrides.
EVIL = "a\x1b[5mb\x1b]0;title\x07c\x9b31md\x7fe\rf\u202eg\u2066h"
TAMED = r"a\x1b[5mb\x1b]0;title\x07c\x9b31md\x7fe\x0df\u202eg\u2066h"
AT_ONCE = 1.5  # seconds: the one that Ctrl-C may take, and what a busy machine adds
DRIVES_A_TERMINAL = frozenset("\x1b\x07\x9b\x7f\r\u202e\u2066")


class Ran(NamedTuple):
    """How a run ended and what it wrote."""

    code: int
    out: str
    err: str


class RanRaw(NamedTuple):
    """The same, in bytes."""

    code: int
    out: bytes
    err: bytes


def call(capture: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """Run `dockless` in this process, entry and exit included."""
    with patch.object(sys, "argv", ["dockless", *arguments]), pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return Ran(ended.value.code, *capture.readouterr())


def command(*arguments: str) -> list[str]:
    """Return what starts `dockless` as a process of its own."""
    return [sys.executable, "-m", "dockless", *arguments]


def run(
    *arguments: str, cwd: Path | None = None, stdin: bytes = b"", variables: Mapping[str, str] | None = None
) -> RanRaw:
    """Run `dockless` as a process of its own, with pipes."""
    ended = subprocess.run(
        command(*arguments),
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env={**os.environ, **(variables or {})},
        timeout=60,
        check=False,
    )
    return RanRaw(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def registry(*images: MadeImage, tags: Mapping[str, str] | None = None, checksums: bool = True) -> Iterator[Peer]:
    """Yield a peer that is index and endpoint of NAME; what is scripted after that goes wrong."""
    with Peer() as peer:
        index(peer)
        endpoint(peer, *images, tags=None if tags is None else dict(tags), checksums=checksums)
        yield peer


def at(peer: Peer, rest: str = "") -> str:
    """Return the location of NAME at the peer; `rest` is a tag with its colon, or an id with its @."""
    return f"v1:{peer.host}/{NAME}{rest}"


def stored(root: Path, images: list[MadeImage], tags: Mapping[str, MadeImage], name: str = NAME) -> V1Directory:
    """Return a directory that holds the images, tagged."""
    store = V1Directory(root)
    for image in images:
        whole = V1Image(image.id, image.raw, len(image.layer), image.checksum)
        store.add(whole, partial(BytesReader, image.layer))
    for tag, image in tags.items():
        store.tag(name, tag, image.id)
    return store
