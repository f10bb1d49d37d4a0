"""`dockless demo` as a process: the verbs against a registry of its own, and nothing left behind."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dockless.testing.images import demo_images
from tests.faces.command import RanRaw, command, run

IMAGES = demo_images()


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def ran(temporary: Path) -> RanRaw:
    variables = {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}
    return run("demo", variables={**variables, "PYTHONUTF8": "1"})


def steps(ran: RanRaw) -> list[tuple[str, str]]:
    """Return each verb that is shown with what it printed."""
    shown = re.split(r"^\$ dockless (.*)$", ran.out.decode(), flags=re.MULTILINE)
    return [(line.split()[0], output) for line, output in zip(shown[1::2], shown[2::2], strict=True)]


def test_it_ends_well(ran: RanRaw) -> None:
    assert ran.code == 0


V1 = [
    ("ping", "speaks v1, standalone"),
    ("search", "library/demo"),
    ("tags", "1.0\nlatest\n"),
    ("digest", f"{IMAGES[0].id}\n"),
    ("inspect", "Layers, newest first"),
    ("history", f"{IMAGES[-1].id}  "),
    ("pull", f"{IMAGES[0].id}\n"),
]
V2 = [
    ("copy", "sha256:"),
    ("inspect", "Layers, base first"),
    ("copy", "sha256:"),
    ("pull", "sha256:"),
    ("push", "sha256:"),
    ("tags", "2.0  sha256:"),
    ("validate", "all right"),
]


def test_each_command_is_shown_in_order_with_its_output(ran: RanRaw) -> None:
    shown = steps(ran)
    assert [verb for verb, _ in shown] == [verb for verb, _ in V1 + V2]
    for (verb, output), (_, printed) in zip(shown, V1 + V2, strict=True):
        assert printed in output, verb


def test_one_digest_goes_all_the_way(ran: RanRaw) -> None:
    moved = [re.findall(r"sha256:[0-9a-f]{64}", output)[0] for verb, output in steps(ran)[len(V1) :]]
    assert len(set(moved)) == 1


def test_every_layer_is_said_to_be_verified_and_a_copy_beside_it_to_be_mounted(ran: RanRaw) -> None:
    said = ran.err.decode().splitlines()
    for one in IMAGES:
        assert f"{one.id[:12]}: {len(one.layer) / 1000:.1f} kB, verified" in said
    assert not [line for line in said if "unverified" in line]
    assert len([line for line in said if line.endswith(", mounted")]) == len(IMAGES) + 1


def test_the_files_that_were_pulled_are_listed(ran: RanRaw) -> None:
    for image in IMAGES:
        assert f"{len(image.layer):>8}  {Path('demo', image.id, 'layer.tar')}{os.linesep}" in ran.out.decode()


def test_it_ends_with_what_to_type_next(ran: RanRaw) -> None:
    last = [line.split() for line in ran.out.decode().splitlines()[-4:]]
    assert [line[:2] for line in last] == [["dockless", verb] for verb in ("copy", "pull", "serve", "--help")]


def test_a_pipe_gets_no_control_characters(ran: RanRaw) -> None:
    assert b"\x1b" not in ran.out + ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_left_ends_it_with_141(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command("demo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("A registry that speaks v1 is up at ")
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
        assert process.wait(60) == 141
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind(ran: RanRaw, temporary: Path) -> None:
    assert ran.code == 0
    assert list(temporary.iterdir()) == []
