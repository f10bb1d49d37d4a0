"""Platforms: how they are written, and which image serves which wish."""

import pytest

from dockless.model.errors import InvalidReference
from dockless.model.platform import Platform, parse_platform


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", Platform(os="linux", architecture="amd64")),
        (" Linux/AMD64 ", Platform(os="linux", architecture="amd64")),
        ("linux/x86_64", Platform(os="linux", architecture="amd64")),
        ("linux/aarch64", Platform(os="linux", architecture="arm64")),
        ("linux/arm/v7", Platform(os="linux", architecture="arm", variant="v7")),
        (
            "windows/amd64:10.0.17763.1",
            Platform(os="windows", architecture="amd64", os_version="10.0.17763.1"),
        ),
    ],
)
def test_platforms_are_read(text: str, platform: Platform) -> None:
    assert parse_platform(text) == platform


@pytest.mark.parametrize(
    "text", ["", "linux", "/amd64", "linux/", "linux/arm/v7/x", "linux//v7", "linux/amd64:", "linux/am\x1bd64"]
)
def test_what_is_no_platform_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidReference, match="not a platform") as caught:
        parse_platform(text)
    assert "linux/amd64" in caught.value.hint
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64:10.0.1", "linux/arm64/v8:1"])
def test_a_platform_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_platform(text)) == text


@pytest.mark.parametrize(
    ("image", "wanted", "serves"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("windows/amd64", "linux/amd64", False),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm", "linux/arm/v7", False),
        ("windows/amd64:10.0.2", "windows/amd64", True),
        ("windows/amd64:10.0.2", "windows/amd64:10.0.1", False),
    ],
)
def test_a_wish_may_leave_variant_and_version_out(image: str, wanted: str, serves: bool) -> None:
    assert parse_platform(image).satisfies(parse_platform(wanted)) is serves
