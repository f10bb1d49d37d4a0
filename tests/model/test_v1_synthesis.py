"""Images of v1 made images of OCI, and the other way round."""

import gzip
import json
from typing import Any

import pytest

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import digest_of
from dockless.model.errors import InvalidDocument, Unsupported
from dockless.model.media_types import (
    DOCKER_LAYER_GZIP,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
)
from dockless.model.v1_synthesis import (
    EMPTY_LAYER,
    Layer,
    V1Made,
    is_layer,
    layer_media_type,
    oci_from_v1,
    v1_from_oci,
)
from dockless.testing.images import MadeImage, demo_images

DEMO = demo_images()[::-1]
EMPTY = digest_of(EMPTY_LAYER)


def layer(content: bytes, media_type: str = OCI_LAYER) -> Layer:
    return Layer(describe(content, media_type), digest_of(content))


def layers_of(images: list[MadeImage]) -> list[Layer]:
    return [layer(image.layer) for image in images]


def config_of(*images: dict[str, Any] | bytes, layers: list[Layer | None] | None = None) -> dict[str, Any]:
    """Return the config made of images; without `layers` each has one."""
    raws = [image if isinstance(image, bytes) else json.dumps(image).encode() for image in images]
    made = oci_from_v1(raws, layers or [layer(b"%d" % number) for number in range(len(raws))])
    config: dict[str, Any] = json.loads(made.config_raw)
    return config


def to_v1(config: dict[str, Any], *layers: Descriptor) -> tuple[list[V1Made], list[dict[str, Any]]]:
    made = v1_from_oci(json.dumps(config).encode(), layers)
    return made, [json.loads(one.raw) for one in made]


# v1 to OCI


def test_the_demo_becomes_the_same_image_on_any_day() -> None:
    made = oci_from_v1([image.raw for image in DEMO], layers_of(DEMO))

    # Written down once: another digest is another image to everyone who has the first.
    assert made.manifest.digest == "sha256:1c605b57e29356343b681febc223e0025d044af221dbedad4a31648933f979a7"
    assert made.manifest == describe(made.manifest_raw, OCI_MANIFEST)
    assert made.config == describe(made.config_raw, OCI_CONFIG)


def test_the_manifest_names_config_and_layers_base_first() -> None:
    made = oci_from_v1([image.raw for image in DEMO], layers_of(DEMO))

    manifest = json.loads(made.manifest_raw)
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, OCI_MANIFEST)
    assert manifest["config"] == {"mediaType": OCI_CONFIG, "digest": made.config.digest, "size": made.config.size}
    assert manifest["layers"] == [
        {"mediaType": OCI_LAYER, "digest": digest_of(image.layer), "size": len(image.layer)} for image in DEMO
    ]
    assert json.loads(made.config_raw)["rootfs"] == {
        "type": "layers",
        "diff_ids": [digest_of(image.layer) for image in DEMO],
    }


def test_the_config_is_the_newest_image_s() -> None:
    config = config_of(*(image.raw for image in DEMO))

    newest = json.loads(DEMO[-1].raw)
    assert {name: config[name] for name in ("created", "author", "architecture", "os")} == {
        name: newest[name] for name in ("created", "author", "architecture", "os")
    }
    assert config["config"] == {name: value for name, value in newest["config"].items() if value is not None}
    assert "container_config" not in config


def test_each_image_is_a_step_of_the_history() -> None:
    first = {"created": "2014-01-01T00:00:00Z", "container_config": {"Cmd": ["/bin/sh", "-c", "#(nop) ADD a"]}}
    second = {"author": "me", "comment": "why", "container_config": {"Cmd": "one text"}}
    third = {"container_config": {"Cmd": []}, "author": "", "comment": ""}

    config = config_of(first, second, third, {}, layers=[layer(b"a"), layer(b"b"), None, None])

    assert config["history"] == [
        {"created": "2014-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) ADD a"},
        {"created_by": "one text", "author": "me", "comment": "why"},
        {"empty_layer": True},
        {"empty_layer": True},
    ]
    assert config["rootfs"]["diff_ids"] == [digest_of(b"a"), digest_of(b"b")]


def test_an_image_that_says_nothing_is_for_what_the_first_dockers_ran_on() -> None:
    assert config_of({}) == {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(b"0")]},
        "history": [{}],
    }


def test_a_platform_is_spelled_as_everyone_spells_it() -> None:
    config = config_of({"architecture": "x86_64", "os": "linux", "variant": "v2", "os.version": "10.0"})
    assert (config["architecture"], config["variant"], config["os.version"]) == ("amd64", "v2", "10.0")


def test_what_the_config_holds_is_kept_and_nulls_are_not() -> None:
    inner = {"Cmd": "sh", "Entrypoint": None, "Env": ["A=b"], "OnBuild": ["RUN x"], "Strange": {"a": [1, None, 1e300]}}
    assert config_of({"config": inner})["config"] == {
        "Cmd": ["sh"],
        "Env": ["A=b"],
        "OnBuild": ["RUN x"],
        "Strange": {"a": [1, None, 1e300]},
    }
    assert config_of({"config": {"Entrypoint": "run", "Cmd": ["a"]}})["config"] == {"Entrypoint": ["run"], "Cmd": ["a"]}


@pytest.mark.parametrize("config", [None, {}, {"Cmd": None}])
def test_a_config_of_nothing_is_left_out(config: object) -> None:
    assert "config" not in config_of({"config": config})


@pytest.mark.parametrize(
    ("created", "is_kept"),
    [
        ("2015-01-01T00:00:00Z", True),
        ("2015-01-01T00:00:00.123456789Z", True),
        ("2015-01-01T00:00:00.1+02:00", True),
        ("0001-01-01T00:00:00Z", True),
        ("", False),
        ("yesterday", False),
        ("2015-01-01", False),
        ("2015-13-01T00:00:00Z", False),
        ("2015-01-01T00:00:00.1234567890Z", False),
        ("2015-01-01T00:00:00", False),
        ("2015-01-01t00:00:00z", False),
        ("\u0662015-01-01T00:00:00Z", False),
    ],
)
def test_a_date_that_is_none_is_left_out(created: str, is_kept: bool) -> None:
    config = config_of({"created": created})
    assert config.get("created") == (created if is_kept else None)
    assert config["history"][0].get("created") == (created if is_kept else None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"os": 1}',
        b'{"config": {"Env": "A=b"}}',
        b'{"variant": 7}',
        b'{"architecture": "a/b/c"}',
        b'{"strange": "\xff"}',
    ],
)
def test_what_is_no_image_s_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidDocument, match="an image's JSON"):
        oci_from_v1([raw], [None])


@pytest.mark.parametrize(
    ("compression", "media_type"),
    [
        ("", OCI_LAYER),
        ("gzip", OCI_LAYER_GZIP),
        ("zstd", OCI_LAYER_ZSTD),
        ("xz", OCI_LAYER),
    ],
)
def test_a_layer_s_media_type_says_how_it_is_packed_where_there_is_one(compression: str, media_type: str) -> None:
    assert layer_media_type(compression) == media_type


@pytest.mark.parametrize(
    ("raw", "diff_id", "expected"),
    [
        (b"{}", digest_of(b"a"), True),
        (b"{}", EMPTY, False),
        (b"{}", digest_of(b""), False),
        (b'{"throwaway": true}', EMPTY, False),
        (b'{"throwaway" : false }', EMPTY, True),
        (b'{"throwaway": true}', digest_of(b"a"), True),
    ],
)
def test_a_layer_that_holds_nothing_is_one_only_if_its_image_says_so(raw: bytes, diff_id: str, expected: bool) -> None:
    assert is_layer(raw, diff_id) is expected


# OCI to v1


def test_each_step_becomes_an_image_on_the_one_before() -> None:
    layers = [describe(b"a", OCI_LAYER), describe(b"b", DOCKER_LAYER_GZIP)]
    config = {
        "created": "2020-01-02T00:00:00Z",
        "author": "me",
        "architecture": "arm",
        "variant": "v7",
        "os": "linux",
        "os.version": "1",
        "config": {"Cmd": ["sh"], "Healthcheck": {"Test": ["NONE"]}},
        "rootfs": {"type": "layers", "diff_ids": []},
        "history": [
            {"created": "2020-01-01T00:00:00Z", "created_by": "ADD a", "author": "you"},
            {"created_by": "ENV A=b", "empty_layer": True, "comment": "why"},
            {"created": "2020-01-01T00:00:01Z", "created_by": "RUN b"},
        ],
    }

    made, images = to_v1(config, *layers)

    assert [one.layer for one in made] == [layers[0], None, layers[1]]
    assert [one.pop("id") for one in images] == [one.id for one in made]
    assert images == [
        {
            "created": "2020-01-01T00:00:00Z",
            "author": "you",
            "container_config": {"Cmd": ["ADD a"]},
            "throwaway": False,
        },
        {"parent": made[0].id, "comment": "why", "container_config": {"Cmd": ["ENV A=b"]}, "throwaway": True},
        {
            "parent": made[1].id,
            "created": "2020-01-02T00:00:00Z",
            "author": "me",
            "container_config": {"Cmd": ["RUN b"]},
            "architecture": "arm",
            "os": "linux",
            "os.version": "1",
            "variant": "v7",
            "config": {"Cmd": ["sh"], "Healthcheck": {"Test": ["NONE"]}},
            "throwaway": False,
        },
    ]


def test_an_id_stands_for_all_that_the_image_is() -> None:
    one, other = describe(b"a", OCI_LAYER), describe(gzip.compress(b"a"), OCI_LAYER_GZIP)
    step = {"created_by": "ADD a"}
    ids = {
        to_v1(config, *layers)[0][-1].id
        for config, layers in (
            ({"history": [step]}, [one]),
            ({"history": [step]}, [other]),
            ({"history": [{"created_by": "ADD b"}]}, [one]),
            ({"history": [step], "os": "linux"}, [one]),
            ({"history": [step, step]}, [one, one]),
            ({"history": [{**step, "empty_layer": True}]}, []),
        )
    }
    assert len(ids) == 6
    assert to_v1({"history": [step]}, one) == to_v1({"history": [step]}, one)


@pytest.mark.parametrize(
    ("history", "count", "expected"),
    [
        (None, 2, [0, 1]),
        ([], 1, [0]),
        ([{}], 3, [0, 1, 2]),
        ([{}, {}, {}], 1, [0, None, None]),
        ([{"empty_layer": True}], 1, [None, 0]),
        ([{"empty_layer": True}], 0, [None]),
        (None, 0, [None]),
    ],
)
def test_history_and_layers_may_disagree(history: object, count: int, expected: list[int | None]) -> None:
    layers = [describe(b"%d" % number, OCI_LAYER) for number in range(count)]
    made, _ = to_v1({"history": history}, *layers)
    assert [one.layer for one in made] == [None if number is None else layers[number] for number in expected]


def test_a_date_that_is_none_is_not_passed_on() -> None:
    _, images = to_v1({"created": "today", "history": [{"created": "2020-01-01T00:00:00Z"}, {"created": "now"}]})
    assert [image.get("created") for image in images] == ["2020-01-01T00:00:00Z", None]


@pytest.mark.parametrize(
    "media_type",
    [
        OCI_LAYER_ZSTD,
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.cncf.helm.chart.content.v1.tar+brotli",
        "application/octet-stream",
    ],
)
def test_what_a_client_of_v1_cannot_unpack_is_refused(media_type: str) -> None:
    with pytest.raises(Unsupported, match="no client of v1 can unpack") as refused:
        v1_from_oci(b"{}", [describe(b"a", OCI_LAYER), describe(b"b", media_type)])
    assert "gzip" in refused.value.hint


def test_an_image_of_too_many_steps_is_refused() -> None:
    with pytest.raises(Unsupported, match="5000 steps"):
        to_v1({"history": [{"empty_layer": True}] * 5000})


@pytest.mark.parametrize("config", [b"", b"[]", b'{"history": 1}', b'{"os": []}', b'{"config": {"a": "\xff"}}'])
def test_what_is_no_config_is_refused(config: bytes) -> None:
    with pytest.raises(InvalidDocument, match="the image's config"):
        v1_from_oci(config, [])


# and back


def test_what_came_from_v1_gets_its_digest_again() -> None:
    layers: list[Layer | None] = [*layers_of(DEMO[:2]), None]
    made = oci_from_v1([image.raw for image in DEMO], layers)

    back = v1_from_oci(made.config_raw, [one.descriptor for one in layers if one])

    assert oci_from_v1([one.raw for one in back], layers) == made


def test_a_layer_that_holds_nothing_comes_back_as_one() -> None:
    empty = Layer(describe(EMPTY_LAYER, OCI_LAYER), EMPTY)
    config = {"history": [{"created_by": "WORKDIR /"}, {"created_by": "ENV", "empty_layer": True}]}

    made, _ = to_v1(config, empty.descriptor)

    assert [is_layer(one.raw, EMPTY) for one in made] == [True, False]
