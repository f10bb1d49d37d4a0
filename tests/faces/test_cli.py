"""The frame around every verb: its help, what a wrong command line or place gives, and how a run that fails ends."""

import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import dockless
from dockless.faces.cli.main import cli
from dockless.testing.images import make_image
from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.command import at, call, registry
from tests.scripted import NAME, layer_path

VERBS = cli.list_commands(click.Context(cli))
OF_LOCATIONS = ["tags", "digest", "config", "history", "layers", "inspect", "validate", "pull", "untag"]
OF_PLACES = [*OF_LOCATIONS[:-2], "manifest", "copy"]
IMAGES = make_image({"a": b"1"}, {"b": b"2"})
INDEX = f"/v1/repositories/{NAME}/images"
TAGS = f"/v1/repositories/{NAME}/tags"
NOBODY = "0123456789abcdef"


def beginnings(err: str) -> list[str]:
    return [line[:7] for line in err.splitlines()]


class TestHelp:
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    @pytest.mark.parametrize("verb", VERBS)
    def test_each_verb_has_its_own(self, capsys: pytest.CaptureFixture[str], verb: str, flag: str) -> None:
        code, out, err = call(capsys, verb, flag)
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: dockless {verb} [OPTIONS]")
        assert "-h, --help" in out

    def test_the_groups_lists_every_verb_and_the_exit_codes(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = call(capsys, "--help")
        assert (code, err) == (0, "")
        assert re.findall(r"^  ([a-z]+)  ", out.partition("Commands:")[2], re.MULTILINE) == VERBS
        assert "130 interrupted" in out

    def test_the_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert call(capsys, "--version") == (0, f"dockless, version {dockless.__version__}\n", "")

    def test_the_console_script_is_the_same_entry(self) -> None:
        (script,) = importlib.metadata.entry_points(group="console_scripts", name="dockless")
        assert script.load() is importlib.import_module("dockless.faces.cli.main").main

    def test_nothing_is_imported_that_the_verb_does_not_need(self) -> None:
        script = (
            "import sys; from dockless.faces.cli.main import cli; cli.main(['tags', '-h'], standalone_mode=False);"
            "print([one for one in sys.modules if one.split('.')[0] in {'rich', 'starlette', 'uvicorn', 'asyncio'}])"
        )
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Usage: "),
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option '--nonsense'"),
        *(([verb, "--nonsense"], "No such option '--nonsense'") for verb in VERBS),
        (["tags"], "Missing argument 'PLACE'"),
        (["tags", "v1:h/a", "v1:h/b"], "unexpected extra argument"),
        (["ping"], "Missing argument 'REGISTRY'"),
        (["blob", "v1:h/a"], "Missing option '-o'"),
        (["pull", "v1:h/a", "-j", "0"], "0 is not in the range"),
        (["tags", "v1:h/a", "--retries", "-1"], "-1 is not in the range"),
        (["tags", "v1:h/a", "--idle-timeout", "0"], "0.0 is not in the range"),
    ],
)
def test_a_wrong_command_line_is_2_and_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.parametrize(
    "location",
    [
        "v1:HOST/UP/../x",
        f"v1:HOST/{NAME}:bad/tag",
        f"v1:HOST/{NAME}:",
        f"v1:HOST/{NAME}@1234",
        f"v1:HOST/{NAME}@{NOBODY.upper()}",
        f"v1:HOST/{NAME}:tag@{NOBODY}",
        f"v1:HOST/{NAME}@../../etc",
        "v1:HOST",
        "v1:",
        "~",
        "",
    ],
)
@pytest.mark.parametrize("verb", OF_LOCATIONS)
def test_what_is_no_location_is_2_before_any_request(
    capsys: pytest.CaptureFixture[str], verb: str, location: str
) -> None:
    with Peer() as peer:
        code, out, err = call(capsys, verb, location.replace("HOST", peer.host))
        assert peer.connections == 0
    assert (code, out) == (2, "")
    assert beginnings(err) == ["error: ", "try:   "]


@pytest.mark.parametrize("location", ["oci:a", "oci-archive:a:1", "docker-archive:a:b:1"])
@pytest.mark.parametrize("verb", OF_PLACES)
def test_a_place_that_is_not_there_is_3_with_a_hint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, location: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, verb, location, *(["oci:b"] if verb == "copy" else []))
    assert (code, out) == (3, "")
    assert beginnings(err) == ["error: ", "try:   "]
    assert list(tmp_path.iterdir()) == []


class Failure(NamedTuple):
    """A verb, what the registry answers on a path of it, and how the run ends."""

    verb: str
    path: str
    reply: Reply
    code: int
    words: str


DAMAGED = Reply(body=bytes(len(IMAGES[0].layer)))
FINE = Reply()
FAILURES = {
    "no image": Failure("tags AT", INDEX, json_reply({"error": "images not found"}, 404), 3, "images not found"),
    "no tag": Failure("digest AT:2.0", "/", FINE, 3, "tag '2.0' not found"),
    "no id": Failure(f"config AT@{NOBODY}", "/", FINE, 3, f"/v1/images/{NOBODY}/json: HTTP 404"),
    "no v1": Failure("ping v1:HOST", "/v1/_ping", Reply(404), 3, "HTTP 404"),
    "401": Failure("tags AT", INDEX, json_reply({"error": "who are you"}, 401), 4, "who are you"),
    "403": Failure("tags AT", INDEX, json_reply({"error": "not you"}, 403), 4, "not you"),
    "a damaged layer": Failure("blob AT -o x", layer_path(IMAGES[0]), DAMAGED, 5, "checksum promises"),
    "a damaged image": Failure("pull AT", layer_path(IMAGES[0]), DAMAGED, 5, "checksum promises"),
    "429": Failure("tags AT", INDEX, Reply(429, headers=(("Retry-After", "3600"),)), 6, "HTTP 429"),
    "500": Failure("tags AT", INDEX, json_reply({"error": "no disk"}, 500), 6, "no disk"),
    "no answer": Failure("tags AT", INDEX, Reply(drop=True), 6, "127.0.0.1"),
    "no JSON": Failure("tags AT", TAGS, Reply(body=b"<html>"), 1, "not what it should be"),
}


class TestFailure:
    @pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
    def test_it_has_its_exit_code_and_says_what_failed(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Failure
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with registry(*IMAGES) as peer:
            peer.on(failure.path, failure.reply)
            line = failure.verb.replace("AT", at(peer)).replace("HOST", peer.host)
            code, out, err = call(capsys, *line.split(), "--retries", "0", "-q")
        assert (code, out) == (failure.code, "")
        first, *rest = err.splitlines()
        assert first.startswith("error: ")
        assert failure.words in first
        assert beginnings("\n".join(rest)) in ([], ["try:   "])

    def test_nobody_there_is_6(self, capsys: pytest.CaptureFixture[str]) -> None:
        code, out, err = call(capsys, "tags", "v1:127.0.0.1:1/a/b", "--retries", "0")
        assert (code, out) == (6, "")
        assert beginnings(err) == ["error: ", "try:   "]
        assert "127.0.0.1:1" in err

    def test_it_is_two_lines_what_failed_and_what_to_try(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(*IMAGES, tags={"1.0": IMAGES[0].id, "latest": IMAGES[0].id}) as peer:
            code, out, err = call(capsys, "digest", at(peer, ":2.0"))
        assert (code, out) == (3, "")
        assert err.splitlines() == [
            f"error: tag '2.0' not found for image {NAME}",
            f"try:   `dockless tags` lists the 2 tags that {NAME} has.",
        ]

    @pytest.mark.parametrize(
        ("flags", "traced"),
        [([], False), (["-v"], False), (["-vv"], True), (["-v", "-v"], True), (["-qvv"], True), (["-vvv"], True)],
    )
    def test_a_traceback_comes_only_with_vv(
        self, capsys: pytest.CaptureFixture[str], flags: list[str], traced: bool
    ) -> None:
        with Peer() as peer:
            code, out, err = call(capsys, "tags", at(peer), *flags)
        assert (code, out) == (3, "")
        assert ("Traceback (most recent call last)" in err) is traced
        assert beginnings(err)[-2:] == ["error: ", "try:   "]

    def test_results_that_are_complete_come_before_the_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        with Peer() as peer:
            first = json_reply({"results": [{"name": "library/first"}], "num_pages": 2, "page": 1})
            peer.on("/v1/search", first, json_reply({"error": "no more"}, 500))
            code, out, err = call(capsys, "search", peer.host, "--retries", "0")
        assert (code, out) == (6, "library/first\n")
        assert "no more" in err

    def test_as_a_process_it_ends_with_the_code(self) -> None:
        with Peer() as peer:
            ended = subprocess.run(
                [sys.executable, "-m", "dockless", "tags", at(peer)], capture_output=True, timeout=60, check=False
            )
        assert (ended.returncode, ended.stdout) == (3, b"")
        assert ended.stderr.count(b"\n") == 2
