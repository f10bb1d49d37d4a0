"""Verbs about an image, against the embedded registry: what they print, and the shape of it as JSON."""

import json
from collections.abc import Iterator

import pytest

from dockless.faces.server.app import EmbeddedRegistry
from dockless.testing.images import MadeImage, make_image
from dockless.testing.peer import Reply
from tests.faces.command import at, call, registry, run, stored
from tests.scripted import NAME, one_layer

IMAGES = make_image({"a": b"1"}, {"b": b"22"}, {"c": b"333"})
TOP = IMAGES[0]
RICH = {
    "author": "A. Author",
    "created": "2015-01-01T00:00:00Z",
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "User": "nobody",
        "WorkingDir": "/srv",
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": "run it",
        "Env": ["A=1", "B=2"],
        "Labels": {"org.example.one": "1"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
    },
}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRegistry]:
    root = tmp_path_factory.mktemp("registry")
    with EmbeddedRegistry(stored(root, IMAGES, {"1.0": TOP, "latest": TOP, "base": IMAGES[-1]})) as server:
        yield server


@pytest.fixture
def place(embedded: EmbeddedRegistry) -> str:
    return f"v1:{embedded.host}/{NAME}"


def with_json(document: object) -> MadeImage:
    image = one_layer(1000)
    return MadeImage(image.id, json.dumps(document).encode(), image.layer)


def command_of(image: MadeImage) -> str:
    return " ".join(json.loads(image.raw)["container_config"]["Cmd"])


def created(image: MadeImage) -> str:
    moment: str = json.loads(image.raw)["created"]
    return moment


class TestConfig:
    @pytest.mark.parametrize("which", [":1.0", "", f"@{TOP.id}"], ids=["a tag", "no tag", "an id"])
    def test_to_a_pipe_it_is_byte_for_byte(self, place: str, which: str) -> None:
        assert run("config", place + which) == (0, TOP.raw, b"")

    def test_bytes_that_no_text_file_has_stay(self) -> None:
        raw = '{"a" : "\\u001b",\r\n "b":"\u009b\u202e\u65e5"}\r\n\n'.encode()
        image = MadeImage(TOP.id, raw, TOP.layer)
        with registry(image) as peer:
            assert run("config", at(peer), variables={"PYTHONIOENCODING": "ascii"}) == (0, raw, b"")

    def test_as_json_it_is_all_there_is_and_escaped(self, capsys: pytest.CaptureFixture[str]) -> None:
        document = {"id": TOP.id, "throwaway": [1, None], "author": "\u009b\u202e\u65e5"}
        raw = json.dumps(document, ensure_ascii=False).encode()
        with registry(MadeImage(TOP.id, raw, TOP.layer)) as peer:
            code, out, err = call(capsys, "config", at(peer), "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == document
        assert out.isascii()


class TestHistory:
    def test_newest_first_with_id_age_and_command(self, capsys: pytest.CaptureFixture[str], place: str) -> None:
        code, out, err = call(capsys, "history", place)
        assert (code, err) == (0, "")
        assert out.splitlines() == [f"{one.id}  {created(one)}  {command_of(one)}" for one in IMAGES]

    def test_as_json(self, capsys: pytest.CaptureFixture[str], place: str) -> None:
        code, out, err = call(capsys, "history", place, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == [
            {"id": one.id, "created": created(one), "command": command_of(one)} for one in IMAGES
        ]

    def test_of_a_base_it_is_one_line(self, capsys: pytest.CaptureFixture[str], place: str) -> None:
        _, out, _ = call(capsys, "history", f"{place}:base")
        assert [line.split()[0] for line in out.splitlines()] == [IMAGES[-1].id]

    @pytest.mark.parametrize(("flags", "shown"), [([], f"{one_layer(1000).id}\n"), (["--json"], None)])
    def test_an_image_that_says_nothing_of_itself(
        self, capsys: pytest.CaptureFixture[str], flags: list[str], shown: str | None
    ) -> None:
        image = with_json({})
        with registry(image) as peer:
            code, out, err = call(capsys, "history", at(peer), *flags)
        assert (code, err) == (0, "")
        if shown is None:
            assert json.loads(out) == [{"id": image.id, "created": None, "command": ""}]
        else:
            assert out == shown


class TestLayers:
    def test_newest_first_with_size_and_checksum(self, capsys: pytest.CaptureFixture[str], place: str) -> None:
        code, out, err = call(capsys, "layers", place)
        assert (code, err) == (0, "")
        assert [line.split() for line in out.splitlines()] == [
            [one.id, str(len(one.layer)), one.checksum] for one in IMAGES
        ]

    def test_as_json(self, capsys: pytest.CaptureFixture[str], place: str) -> None:
        code, out, err = call(capsys, "layers", place, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out) == [{"id": one.id, "size": len(one.layer), "checksum": one.checksum} for one in IMAGES]

    def test_columns_are_aligned(self, capsys: pytest.CaptureFixture[str]) -> None:
        small, large = make_image({}, {"a": bytes(100_000)})[::-1]
        with registry(large, small) as peer:
            _, out, _ = call(capsys, "layers", at(peer))
        first, second = out.splitlines()
        assert len(str(len(small.layer))) < len(str(len(large.layer)))
        assert first.index("sha256:") == second.index("sha256:")

    @pytest.mark.parametrize(
        ("flags", "shown"), [([], "unknown  unknown"), (["--json"], '"size": null,\n    "checksum": null')]
    )
    def test_what_the_registry_does_not_say_is_unknown(
        self, capsys: pytest.CaptureFixture[str], flags: list[str], shown: str
    ) -> None:
        with registry(IMAGES[-1]) as peer:
            peer.on(f"/v1/images/{IMAGES[-1].id}/json", Reply(body=IMAGES[-1].raw))
            code, out, err = call(capsys, "layers", at(peer), *flags)
        assert (code, err) == (0, "")
        assert shown in out


class TestInspect:
    def test_the_summary(self, capsys: pytest.CaptureFixture[str], place: str) -> None:
        code, out, err = call(capsys, "inspect", place)
        assert (code, err) == (0, "")
        total = sum(len(one.layer) for one in IMAGES)
        assert out.splitlines() == [
            f"Name        {NAME}",
            f"Image id    {TOP.id}",
            f"Created     {created(TOP)}",
            "Author      The dockless tests <nobody@example.com>",
            "Platform    linux/amd64",
            f"Size        {total / 1000:.1f} kB in 3 layers",
            "Entrypoint  /usr/bin/demo",
            "Command     world",
            "Variable    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "Variable    NAME=demo",
            "Label       com.example.name=demo",
            "Layers, newest first",
            *(f"  {one.id[:12]}  {len(one.layer) / 1000:.1f} kB  {created(one)}  {command_of(one)}" for one in IMAGES),
        ]

    def test_everything_that_an_image_can_say(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(with_json(RICH)) as peer:
            _, out, _ = call(capsys, "inspect", at(peer))
        facts = [line.split(None, 1) for line in out.partition("Layers,")[0].splitlines()]
        assert facts[2:] == [
            ["Created", "2015-01-01T00:00:00Z"],
            ["Author", "A. Author"],
            ["Platform", "linux/amd64"],
            ["Size", "1.0 kB in 1 layer"],
            ["User", "nobody"],
            ["Directory", "/srv"],
            ["Entrypoint", "/bin/sh -c"],
            ["Command", "run it"],
            ["Variable", "A=1"],
            ["Variable", "B=2"],
            ["Label", "org.example.one=1"],
            ["Port", "80/tcp"],
            ["Volume", "/data"],
        ]

    def test_what_an_image_does_not_say_has_no_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(with_json({})) as peer:
            _, out, _ = call(capsys, "inspect", at(peer))
        assert [line.split()[0] for line in out.splitlines()[:4]] == ["Name", "Image", "Size", "Layers,"]

    def test_a_size_that_is_not_known_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        with registry(TOP, *IMAGES[1:]) as peer:
            peer.on(f"/v1/images/{IMAGES[1].id}/json", Reply(body=IMAGES[1].raw))
            _, out, _ = call(capsys, "inspect", at(peer))
        assert "Size        unknown size in 3 layers\n" in out

    def test_as_json(self, capsys: pytest.CaptureFixture[str], place: str) -> None:
        code, out, err = call(capsys, "inspect", place, "--json")
        assert (code, err) == (0, "")
        document = json.loads(out)
        assert list(document) == ["name", "id", "size", "config", "layers"]
        assert (document["name"], document["id"]) == (NAME, TOP.id)
        assert document["size"] == sum(len(one.layer) for one in IMAGES)
        assert document["layers"] == [
            {
                "id": one.id,
                "size": len(one.layer),
                "checksum": one.checksum,
                "created": created(one),
                "command": command_of(one),
            }
            for one in IMAGES
        ]

    def test_the_config_in_the_json_has_the_names_of_the_document(
        self, capsys: pytest.CaptureFixture[str], place: str
    ) -> None:
        config = json.loads(call(capsys, "inspect", place, "--json").out)["config"]
        document = json.loads(TOP.raw)
        known = ["id", "parent", "created", "comment", "author", "container", "docker_version", "architecture", "os"]
        assert sorted(config) == sorted([*known, "config", "container_config", "Size"])
        assert {name: config[name] for name in known} == {name: document.get(name) for name in known}
        assert config["Size"] == document["Size"]
        assert {name: document["config"][name] for name in config["config"]} == config["config"]
