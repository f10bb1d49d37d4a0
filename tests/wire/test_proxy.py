"""Which proxy a URL goes through: Go's rules."""

import pytest

from dockless.wire.proxy import Proxies, is_loopback, proxy_for

BOTH = Proxies(http="http://plain:3128", https="http://secure:3128")


@pytest.mark.parametrize(
    ("url", "proxy"), [("http://r.example/", "http://plain:3128"), ("https://r.example/", "http://secure:3128")]
)
def test_the_scheme_decides_between_the_proxies(url: str, proxy: str) -> None:
    assert proxy_for(url, BOTH) == proxy


@pytest.mark.parametrize(
    ("url", "proxies"),
    [
        ("http://r.example/", Proxies()),
        ("http://r.example/", Proxies(https="secure:3128")),
        ("https://r.example/", Proxies(http="plain:3128")),
    ],
)
def test_without_a_proxy_for_the_scheme_the_way_is_straight(url: str, proxies: Proxies) -> None:
    assert proxy_for(url, proxies) is None


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("proxy:3128", "http://proxy:3128"),
        ("me:secret@proxy:3128", "http://me:secret@proxy:3128"),
        ("http://proxy:3128", "http://proxy:3128"),
        ("https://proxy", "https://proxy"),
        ("socks5://proxy:1080", "socks5://proxy:1080"),
    ],
)
def test_a_proxy_without_a_scheme_is_an_http_one(said: str, meant: str) -> None:
    assert proxy_for("https://r.example/", Proxies(https=said)) == meant


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("128.0.0.1", False),
        ("::2", False),
        ("localhost.example", False),
        ("r.localhost", False),
        ("", False),
    ],
)
def test_this_machine_is_told_from_others(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "url", ["http://localhost:5000/", "http://LOCALHOST./", "https://127.0.0.2/", "http://[::1]:5000/"]
)
def test_this_machine_is_never_behind_a_proxy(url: str) -> None:
    assert proxy_for(url, BOTH) is None


EXEMPT = [
    # everything
    ("*", "http://r.example/"),
    ("a.example, *", "http://10.0.0.1/"),
    # a name: itself and below it
    ("r.example", "http://r.example/"),
    ("r.example", "http://sub.r.example/"),
    ("r.example", "https://r.example:5000/"),
    ("R.EXAMPLE", "http://r.example/"),
    ("r.example", "http://R.example./"),
    ("registry", "http://registry/"),
    # a name with a port
    ("r.example:5000", "http://r.example:5000/"),
    ("r.example:80", "http://r.example/"),
    ("r.example:443", "https://sub.r.example/"),
    # below a name
    (".r.example", "http://sub.r.example/"),
    (".r.example", "http://a.b.r.example/"),
    ("*.r.example", "http://sub.r.example/"),
    (".r.example:5000", "http://sub.r.example:5000/"),
    ("*.r.example:5000", "http://sub.r.example:5000/"),
    # an address
    ("10.0.0.1", "http://10.0.0.1:5000/"),
    ("10.0.0.1:5000", "http://10.0.0.1:5000/"),
    ("2001:db8::1", "http://[2001:db8::1]:5000/"),
    ("2001:DB8:0::1", "http://[2001:db8::1]/"),
    # a network
    ("10.0.0.0/8", "http://10.200.0.1/"),
    ("10.1.2.3/8", "http://10.200.0.1/"),
    ("10.0.0.1/32", "http://10.0.0.1/"),
    ("2001:db8::/32", "https://[2001:db8:1::1]/"),
    # a list
    ("a.example,r.example", "http://r.example/"),
    (" a.example , r.example ", "http://r.example/"),
    (",,r.example,", "http://r.example/"),
    ("not/a/network,r.example", "http://r.example/"),
]

NOT_EXEMPT = [
    ("", "http://r.example/"),
    (" , ", "http://r.example/"),
    ("r.example", "http://xr.example/"),
    ("r.example", "http://r.example.org/"),
    ("r.example", "http://example/"),
    ("r.example:5000", "http://r.example/"),
    ("r.example:443", "http://r.example/"),
    ("r.example:80", "https://r.example/"),
    ("r.example:5000", "http://sub.r.example:5001/"),
    (".r.example", "http://r.example/"),
    ("*.r.example", "http://r.example/"),
    (".r.example:5000", "http://sub.r.example/"),
    ("*:80", "http://r.example/"),
    (":80", "http://r.example/"),
    ("r.*", "http://r.example/"),
    ("http://r.example", "http://r.example/"),
    ("10.0.0.1", "http://10.0.0.10/"),
    ("10.0.0.1:5000", "http://10.0.0.1/"),
    ("10.0.0.0/8", "http://11.0.0.1/"),
    ("10.0.0.0/33", "http://10.0.0.1/"),
    ("0.0.0.0/0", "http://[2001:db8::1]/"),
    ("0.0.0.0/0", "http://r.example/"),
    ("2001:db8::/32", "http://[2001:db9::1]/"),
    ("2001:db8::1", "http://r.example/"),
]


@pytest.mark.parametrize(("no_proxy", "url"), EXEMPT)
def test_no_proxy_exempts_what_it_lists(no_proxy: str, url: str) -> None:
    assert proxy_for(url, Proxies(http="proxy", https="proxy", no_proxy=no_proxy)) is None


@pytest.mark.parametrize(("no_proxy", "url"), NOT_EXEMPT)
def test_no_proxy_exempts_nothing_else(no_proxy: str, url: str) -> None:
    assert proxy_for(url, Proxies(http="proxy", https="proxy", no_proxy=no_proxy)) == "http://proxy"


@pytest.mark.parametrize(
    ("proxies", "shown"),
    [
        (Proxies(), "Proxies(http=none, https=none)"),
        (Proxies(http="http://me:secret@p"), "Proxies(http=set, https=none)"),
        (Proxies(https="me:secret@p", no_proxy="secret"), "Proxies(http=none, https=set)"),
    ],
)
def test_proxies_are_shown_without_their_urls(proxies: Proxies, shown: str) -> None:
    assert repr(proxies) == str(proxies) == shown
