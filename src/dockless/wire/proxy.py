"""Which proxy a URL goes through: the rules of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, without reading them.

Rules, those of Go's `http.ProxyFromEnvironment`, which the client this began from used:
* The scheme of the URL decides between the two proxies; a proxy without a scheme is an http one.
* `localhost` and loopback addresses never go through a proxy.
* NO_PROXY is a list at commas: `*`, a host or address with or without a port, `.example.com` and `*.example.com` (below
  it), `example.com` (itself and below it), or a network in CIDR form. An IPv6 address with a port stands in brackets.
"""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import msgspec

from dockless.wire.http import origin


class Proxies(msgspec.Struct, frozen=True):
    """The proxies in force; an empty text is none. `__repr__` hides them: their URLs may hold a password."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""

    def __repr__(self) -> str:
        return f"Proxies(http={'set' if self.http else 'none'}, https={'set' if self.https else 'none'})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [("", "hidden")]


def proxy_for(url: str, proxies: Proxies) -> str | None:
    """Return the URL of the proxy that a request to `url` goes through, None for straight there."""
    scheme, host, port = origin(url)
    proxy = proxies.https if scheme == "https" else proxies.http
    if not proxy or is_loopback(host) or any(_exempts(rule, host, port) for rule in proxies.no_proxy.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Say whether a host, without its port, is this machine."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; one of IPv4 in the dress of IPv6 is one of IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _exempts(rule: str, host: str, port: int) -> bool:
    rule = rule.strip().lower()
    if rule == "*":
        return True
    address = _address(host)
    if address is not None and "/" in rule:
        with suppress(ValueError):
            return address in ip_network(rule, strict=False)
    name, wanted = _split_port(rule)
    if wanted not in {"", str(port)}:
        return False
    if address is not None:
        return address == _address(name)
    below = name.removeprefix("*") if name.startswith("*.") else name
    return host.endswith(below) if below.startswith(".") else host == below or host.endswith(f".{below}")


def _split_port(rule: str) -> tuple[str, str]:
    if rule.startswith("["):
        name, _, rest = rule[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = rule.partition(":")
    return (name, port) if ":" not in port else (rule, "")
