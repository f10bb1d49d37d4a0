"""Image configs: the typed view, and the bytes it keeps."""

import pytest

from dockless.model.errors import InvalidDocument
from dockless.model.image_config import ImageConfig, parse_image_config

RAW = b"""{"architecture":"arm","variant":"v7","os":"linux","created":"2020-01-01T00:00:00Z","strange":1,
"config":{"Env":["A=b"],"Cmd":["sh"],"Labels":{"k":"v"}},"rootfs":{"type":"layers","diff_ids":["sha256:1"]},
"history":[{"created_by":"ADD x"},{"created_by":"ENV A=b","empty_layer":true}]}"""


def test_a_config_is_read_and_keeps_its_bytes() -> None:
    config = parse_image_config(RAW, "the config")
    assert (config.os, config.architecture, config.variant) == ("linux", "arm", "v7")
    assert config.config is not None
    assert config.config.env == ["A=b"]
    assert config.rootfs.diff_ids == ("sha256:1",)
    assert [(one.created_by, one.empty_layer) for one in config.history or ()] == [("ADD x", False), ("ENV A=b", True)]
    assert config.raw == RAW


def test_a_config_may_hold_almost_nothing() -> None:
    config = parse_image_config(b'{"rootfs":{"diff_ids":null},"history":null}', "the config")
    assert (config.os, config.rootfs.diff_ids, config.history) == ("", None, None)
    assert ImageConfig().raw == b""


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"os":1}', b'{"history":{}}', b'{"rootfs":{"diff_ids":[1]}}'])
def test_what_is_no_config_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(InvalidDocument, match="the config is not what it should be"):
        parse_image_config(raw, "the config")


def test_a_config_says_what_the_image_runs_on() -> None:
    assert str(parse_image_config(RAW, "the config").platform) == "linux/arm/v7"
    assert parse_image_config(b'{"os":"windows","os.version":"10"}', "the config").platform.os_version == "10"
