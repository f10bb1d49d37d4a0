"""Verbs on a place of every kind: which work there, what those that read print, and the shape of it as JSON."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from dockless.faces.cli.main import cli
from dockless.faces.client import Client
from dockless.model.digest import digest_of
from dockless.model.v1_synthesis import v1_from_oci
from dockless.stores.oci_layout import OciLayout
from dockless.testing.images import make_image
from dockless.testing.peer import Reply, json_reply
from tests.faces.command import at, call, registry, run
from tests.faces.places import CREATED, KINDS, LAYERS, image, layout, named, place
from tests.graphs import referrer
from tests.scripted import NAME

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Shop(NamedTuple):
    """A place, the location of the image in it, and what that is."""

    place: str
    location: str
    tag: str
    root: str
    amd64: str
    arm64: str
    config: bytes


@pytest.fixture(scope="module", params=KINDS)
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    kind = request.param
    with place(kind, tmp_path_factory.mktemp("places")) as where, Client() as client:
        location = where + named(kind)
        amd64, arm64 = (client.resolve(location, f"linux/{one}").digest for one in ("amd64", "arm64"))
        config = client.image(location, "linux/amd64").config
        assert config is not None
        (tag,) = client.tags(where)
        yield Shop(where, location, tag, client.digest(location), amd64, arm64, config.raw)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code, out, err = call(capsys, *arguments)
    assert (code, err) == (0, "")
    return out


class TestTags:
    def test_one_a_line(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        assert said(capsys, "tags", shop.place) == f"{shop.tag}\n"

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        assert json.loads(said(capsys, "tags", shop.place, "--json")) == {"place": shop.place, "tags": [shop.tag]}

    def test_the_long_form_of_an_index_has_its_platforms(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        assert said(capsys, "tags", "--long", shop.place).split() == [
            shop.tag,
            shop.root,
            "-",
            "-",
            "linux/amd64,linux/arm64",
        ]

    def test_for_a_platform_it_has_date_and_size(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        out = said(capsys, "tags", "-l", shop.place, "--platform", "linux/amd64")
        size = sum(map(len, LAYERS)) + len(shop.config)
        assert out.split()[:4] == [shop.tag, shop.root, CREATED, f"{size / 1000:.1f}"]

    def test_a_platform_is_for_the_long_form(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        code, out, err = call(capsys, "tags", shop.place, "--platform", "linux/amd64")
        assert (code, out) == (2, "")
        assert "add --long" in err

    def test_the_long_form_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        (row,) = json.loads(said(capsys, "tags", "-l", "--json", shop.place, "--platform", "linux/amd64"))
        assert list(row) == ["tag", "digest", "created", "size", "platforms", "error"]
        assert (row["created"], row["platforms"], row["error"]) == (CREATED, ["linux/amd64"], None)
        assert row["size"] == sum(map(len, LAYERS)) + len(shop.config)

    def test_columns_are_aligned_and_come_in_time(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        where = layout(tmp_path / "layout")
        names = ["a", "a-long-name", *(f"n{number}" for number in range(40)), "z" * 30]
        said(capsys, "tag", f"{where}:1.0", *names)
        lines = said(capsys, "tags", "-l", where).splitlines()
        assert len(lines) == len(names) + 1
        columns = [line.index("sha256:") for line in lines]
        assert columns == sorted(columns)  # wider, never narrower
        assert len(set(columns[:16])) == 1
        assert columns[0] < columns[-1]


class TestDigest:
    def test_of_the_index(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        assert said(capsys, "digest", shop.location) == f"{shop.root}\n"

    def test_of_a_platform(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        assert said(capsys, "digest", shop.location, "--platform", "linux/arm64") == f"{shop.arm64}\n"

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        found = json.loads(said(capsys, "digest", shop.location, "--platform", "linux/amd64", "--json"))
        size = found.pop("size")
        assert found == {"location": shop.location, "digest": shop.amd64, "media_type": MANIFEST}
        assert size > 0

    def test_a_platform_that_is_not_there_is_3_and_lists_those_that_are(
        self, capsys: pytest.CaptureFixture[str], shop: Shop
    ) -> None:
        code, out, err = call(capsys, "digest", shop.location, "--platform", "linux/s390x")
        assert (code, out) == (3, "")
        assert "linux/amd64, linux/arm64" in err


class TestManifest:
    @pytest.mark.parametrize("flags", [[], ["--platform", "linux/arm64"]], ids=["index", "platform"])
    def test_it_is_byte_for_byte_what_the_digest_says(self, shop: Shop, flags: list[str]) -> None:
        code, out, err = run("manifest", shop.location, *flags)
        assert (code, err) == (0, b"")
        assert digest_of(out) == (shop.arm64 if flags else shop.root)

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        document = json.loads(said(capsys, "manifest", shop.location, "--json"))
        assert [one["digest"] for one in document["manifests"]] == [shop.amd64, shop.arm64]


class TestConfig:
    def test_it_is_byte_for_byte(self, shop: Shop) -> None:
        assert run("config", shop.location, "--platform", "linux/amd64") == (0, shop.config, b"")

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        shown = json.loads(said(capsys, "config", shop.location, "--platform", "linux/amd64", "--json"))
        assert shown == json.loads(shop.config)


class TestHistory:
    def test_newest_first(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        out = said(capsys, "history", shop.location, "--platform", "linux/amd64")
        assert out.splitlines() == [f"{CREATED}  {what}" for what in ("CMD --all", "COPY 1 /", "COPY 0 /")]

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        shown = json.loads(said(capsys, "history", shop.location, "--platform", "linux/arm64", "--json"))
        assert shown == [
            {"created": CREATED, "command": "CMD --all", "empty_layer": True},
            {"created": CREATED, "command": "COPY 0 /", "empty_layer": False},
        ]


class TestLayers:
    def test_base_first(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        out = said(capsys, "layers", shop.location, "--platform", "linux/amd64")
        assert [line.split() for line in out.splitlines()] == [[digest_of(one), str(len(one)), LAYER] for one in LAYERS]

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        shown = json.loads(said(capsys, "layers", shop.location, "--platform", "linux/arm64", "--json"))
        base = digest_of(LAYERS[0])
        assert shown == [{"digest": base, "size": len(LAYERS[0]), "media_type": LAYER, "diff_id": base}]


class TestInspect:
    def test_the_summary(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        lines = said(capsys, "inspect", shop.location, "--platform", "linux/amd64").splitlines()
        sizes = [sum(map(len, layers)) + len(shop.config) for layers in (LAYERS, LAYERS[:1])]
        facts = [line.split(None, 1) for line in lines[: lines.index("Platforms")]]
        assert facts == [
            ["Name", shop.location],
            ["Digest", shop.root],
            ["Media", f"type  {INDEX}"],
            ["Created", CREATED],
            ["Author", "A. Author"],
            ["Platform", "linux/amd64"],
            ["Manifest", shop.amd64],
            ["Size", f"{sizes[0] / 1000:.1f} kB in 2 layers"],
            ["User", "nobody"],
            ["Directory", "/srv"],
            ["Entrypoint", "/bin/serve"],
            ["Command", "--all"],
            ["Variable", "A=1"],
            ["Label", "org.example.team=shop"],
            ["Port", "80/tcp"],
            ["Volume", "/data"],
        ]
        rest = [line.split(None, 3) for line in lines[len(facts) :]]
        assert rest[:3] == [
            ["Platforms"],
            ["linux/amd64", *f"{sizes[0] / 1000:.1f} kB".split(), shop.amd64],
            ["linux/arm64", *rest[2][1:3], shop.arm64],
        ]
        assert [line.split() for line in lines[len(facts) + 4 :]] == [
            [digest_of(one)[7:19], f"{len(one) / 1000:.1f}", "kB", CREATED, "COPY", str(number), "/"]
            for number, one in enumerate(LAYERS)
        ]

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        shown = json.loads(said(capsys, "inspect", shop.location, "--json", "--platform", "linux/arm64"))
        assert (shown["location"], shown["digest"], shown["manifest"]) == (shop.location, shop.root, shop.arm64)
        assert [one["platform"] for one in shown["platforms"]] == ["linux/amd64", "linux/arm64"]
        assert (shown["entrypoint"], shown["cmd"], shown["user"]) == (["/bin/serve"], ["--all"], "nobody")
        assert [one["command"] for one in shown["layers"]] == ["COPY 0 /"]


class TestBlob:
    def test_a_blob_by_digest_to_a_file(self, capsys: pytest.CaptureFixture[str], shop: Shop, tmp_path: Path) -> None:
        wanted = digest_of(LAYERS[1])
        code, out, err = call(capsys, "blob", f"{shop.place}@{wanted}", "-o", str(tmp_path / "layer"))
        assert (code, out) == (0, "")
        assert err == f"{wanted[7:19]}: {len(LAYERS[1]) / 1000:.1f} kB, verified\n"
        assert (tmp_path / "layer").read_bytes() == LAYERS[1]

    def test_to_a_pipe(self, shop: Shop) -> None:
        assert run("blob", f"{shop.place}@{digest_of(LAYERS[0])}", "-o", "-") == (0, LAYERS[0], b"")

    def test_a_manifest_by_digest(self, shop: Shop) -> None:
        assert digest_of(run("blob", f"{shop.place}@{shop.arm64}", "-o", "-").out) == shop.arm64

    def test_one_that_is_not_there_is_3(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        code, out, err = call(capsys, "blob", f"{shop.place}@{digest_of(b'?')}", "-o", "-")
        assert (code, out) == (3, "")
        assert [line[:7] for line in err.splitlines()] == ["error: ", "try:   "]


class TestValidate:
    def test_all_is_right(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        code, out, err = call(capsys, "validate", shop.location)
        assert code == 0
        assert out.startswith(f"{shop.root}: 3 manifests and 4 blobs, ")
        assert out.endswith(": all right\n")
        assert sorted(err.splitlines()) == sorted(
            f"{digest_of(one)[7:19]}: {len(one) / 1000:.1f} kB, verified" for one in LAYERS
        )

    def test_what_is_wrong_is_5_and_listed(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        where = layout(tmp_path / "layout")
        damaged = tmp_path / "layout" / "blobs" / "sha256" / digest_of(LAYERS[1])[7:]
        damaged.chmod(0o644)
        damaged.write_bytes(bytes(len(LAYERS[1])))
        code, out, _ = call(capsys, "validate", f"{where}:1.0")
        assert code == 5
        finding, last = out.splitlines()
        assert finding.startswith(f"manifests[0].layers[1]: {digest_of(LAYERS[1])}: ")
        assert last.endswith(": damaged")
        code, out, _ = call(capsys, "validate", f"{where}:1.0", "--json", "-q")
        assert code == 5
        assert [one["path"] for one in json.loads(out)["findings"]] == ["manifests[0].layers[1]"]

    def test_as_json(self, capsys: pytest.CaptureFixture[str], shop: Shop) -> None:
        code, out, _ = call(capsys, "validate", shop.location, "--fast", "--json", "--platform", "linux/arm64")
        shown = json.loads(out)
        assert code == 0
        assert (shown["root"]["digest"], shown["ok"], shown["findings"]) == (shop.arm64, True, [])
        assert (shown["manifests"], shown["blobs"]) == (1, 2)


def test_an_artifact_has_no_config(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = OciLayout(tmp_path)
    found = referrer(store, image(store, "linux/amd64"), "application/x-signature")
    store.tag(found, "signature")
    code, out, err = call(capsys, "config", f"oci:{tmp_path}:signature")
    assert (code, out) == (1, "")
    assert "`dockless manifest` prints it" in err


# How each verb of the reference's table is tried; those that change something come last.
TRIED = {
    "tags": "tags PLACE",
    "tags --long": "tags --long PLACE",
    **{one: f"{one} IMAGE" for one in ("digest", "manifest", "config", "history", "layers", "inspect", "validate")},
    "blob": "blob BLOB -o blob",
    "ping": "ping HOST",
    "catalog": "catalog HOST",
    "copy from": "copy IMAGE oci:copied:1",
    "pull": "pull IMAGE oci:pulled:1",
    "copy to": "copy oci:layout:1.0 NEW --platform linux/amd64",
    "push to": "push oci:layout:1.0 NEW --platform linux/amd64",
    "tag": "tag IMAGE TAG",
    "untag": "untag IMAGE",
    "delete": "delete ROOT",
}


def works(kind: str) -> dict[str, bool]:
    """Return what the reference's table says of a kind of place."""
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8").replace("`", "")
    section = page.partition("### Which verb works where\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    (_, *kinds), _, *rows = ([cell.strip(" :") for cell in line.strip("|").split("|")] for line in lines)
    column = kinds.index(kind)
    return {verb: {"yes": True, "no": False}[row[column]] for verbs, *row in rows for verb in verbs.split(", ")}


@contextmanager
def v1_place(here: str) -> Iterator[str]:
    """Yield a repository of v1 with an image, which takes the one that is `here`, and tags."""
    images = make_image({"a": b"1"}, {"b": b"2"})
    repository = f"/v1/repositories/{NAME}"
    with registry(*images, tags={"1.0": images[0].id}) as peer, Client() as client:
        given = json_reply("", headers=(("X-Docker-Endpoints", peer.host), ("X-Docker-Token", "write-token")))
        peer.on("/v1/_ping", json_reply({}))
        peer.on("/v1/search", json_reply({"results": [{"name": NAME}]}))
        peer.on(f"{repository}/", given, method="PUT")
        peer.on(f"{repository}/images", Reply(204), method="PUT")
        peer.on(f"{repository}/images", Reply(204, headers=given.headers), method="DELETE")
        peer.on(f"{repository}/tags/1.0", json_reply(True), method="DELETE")
        for tag in ("2.0", "new"):
            peer.on(f"{repository}/tags/{tag}", json_reply(True), method="PUT")
        taken = client.image(here, "linux/amd64")
        assert taken.config is not None
        for one in v1_from_oci(taken.config.raw, taken.manifest.layers):
            for what in ("json", "layer", "checksum"):
                peer.on(f"/v1/images/{one.id}/{what}", json_reply(True), method="PUT")
        yield at(peer)


@contextmanager
def tried_at(kind: str, root: Path) -> Iterator[Mapping[str, str]]:
    """Yield what the words of TRIED mean for a kind of place."""
    if kind == "v1":
        with v1_place(f"{layout(root / 'layout')}:1.0") as where, Client() as client:
            top = f"{where}@{client.digest(f'{where}:1.0')}"
            host = where.partition("/")[0]
            yield {"PLACE": where, "IMAGE": f"{where}:1.0", "ROOT": top, "BLOB": top, "HOST": host}
        return
    with place(kind, root) as where, Client() as client:
        location = where + named(kind)
        yield {
            "PLACE": where,
            "IMAGE": location,
            "ROOT": f"{where}@{client.digest(location)}",
            "BLOB": f"{where}@{digest_of(LAYERS[0])}",
            "HOST": where.partition("/")[0] if kind == "registry" else where,
        }


@pytest.mark.parametrize("kind", [*KINDS, "v1"])
def test_the_reference_says_which_verb_works_where(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = works(kind)
    assert said.keys() == TRIED.keys()
    in_archive = "shop:" if kind == "docker-archive" else ""
    with tried_at(kind, tmp_path) as meant:
        words = {**meant, "TAG": f"{in_archive}2.0", "NEW": f"{meant['PLACE']}:{in_archive}new"}
        for verb, line in TRIED.items():
            ran = call(capsys, *(words.get(word, word) for word in line.split()))
            assert ran.code in ({0} if said[verb] else {1, 2}), (verb, ran)


def test_the_table_has_every_verb_about_places() -> None:
    verbs = set(cli.list_commands(click.Context(cli)))
    assert {line.split()[0] for line in TRIED.values()} == verbs - {"demo", "search", "serve"}
