"""Which proxies the environment asks for, and where it has a cache."""

import sys
from pathlib import Path

import msgspec
import pytest

from dockless.faces import environment
from dockless.net.settings import Settings
from dockless.wire.proxy import Proxies

VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, "", ""),
        ({"HTTP_PROXY": "a"}, "a", ""),
        ({"http_proxy": "a"}, "a", ""),
        ({"HTTPS_PROXY": "a"}, "", "a"),
        ({"https_proxy": "a"}, "", "a"),
        ({"HTTP_PROXY": "a", "http_proxy": "b"}, "b", ""),
        ({"HTTPS_PROXY": "a", "https_proxy": "b"}, "", "b"),
        ({"ALL_PROXY": "a"}, "a", "a"),
        ({"all_proxy": "a"}, "a", "a"),
        ({"ALL_PROXY": "a", "all_proxy": "b"}, "b", "b"),
        ({"ALL_PROXY": "a", "http_proxy": "b"}, "b", "a"),
        ({"all_proxy": "a", "HTTPS_PROXY": "b"}, "a", "b"),
        ({"http_proxy": "", "HTTP_PROXY": "a"}, "a", ""),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "a"}, "", ""),
        ({"REQUEST_METHOD": "", "HTTP_PROXY": "a"}, "", ""),
        ({"REQUEST_METHOD": "GET", "http_proxy": "a"}, "a", ""),
        ({"REQUEST_METHOD": "GET", "HTTPS_PROXY": "a"}, "", "a"),
        ({"REQUEST_METHOD": "GET", "HTTP_PROXY": "a", "ALL_PROXY": "b"}, "b", "b"),
    ],
)
def test_the_proxies(variables: dict[str, str], http: str, https: str) -> None:
    proxies = environment.settings(variables).proxies
    assert (proxies.http, proxies.https) == (http, https)


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [({}, ""), ({"NO_PROXY": "a"}, "a"), ({"no_proxy": "a"}, "a"), ({"NO_PROXY": "a", "no_proxy": "b"}, "b")],
)
def test_where_no_proxy_is_wanted(variables: dict[str, str], wanted: str) -> None:
    assert environment.settings(variables).proxies.no_proxy == wanted


def test_the_processs_own_environment_counts_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert environment.settings().proxies.https == "http://proxy.example:3128"


def test_the_processs_own_does_not_count_when_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert environment.settings({}).proxies.https == ""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other places")
@pytest.mark.parametrize(
    ("variables", "directory"),
    [
        ({}, Path("/home/ann/.cache/dockless")),
        ({"XDG_CACHE_HOME": "/var/cache/ann"}, Path("/var/cache/ann/dockless")),
        ({"XDG_CACHE_HOME": ""}, Path("/home/ann/.cache/dockless")),
        ({"XDG_CACHE_HOME": "relative"}, Path("/home/ann/.cache/dockless")),
    ],
)
def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], directory: Path) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert environment.cache_directory(variables) == directory


@pytest.mark.skipif(sys.platform == "win32", reason="users there have a directory in any case")
def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert environment.cache_directory({}) is None


def test_nothing_else_is_taken_from_it() -> None:
    found = environment.settings(dict.fromkeys(VARIABLES, "x"))
    assert found != Settings()
    assert msgspec.structs.replace(found, proxies=Proxies()) == Settings()
