"""Which proxy a URL goes through: the rules of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, without reading them.

Rules, those of Go's `http.ProxyFromEnvironment`, which the client this began from used:
* The scheme of the URL decides between the two proxies; a proxy without a scheme is an http one.
* `localhost` and loopback addresses never go through a proxy.
* NO_PROXY is a list at commas: `*`, a host or address with or without a port, `.example.com` (below it),
  `example.com` (itself and below it), or a network in CIDR form.
"""

from ipaddress import ip_address, ip_network

import msgspec

from dockless.wire.http import origin


class Proxies(msgspec.Struct, frozen=True):
    """The proxies in force; an empty text is none. `__repr__` hides them: their URLs may hold a password."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""

    def __repr__(self) -> str:
        return f"Proxies(http={'set' if self.http else 'none'}, https={'set' if self.https else 'none'})"


def proxy_for(url: str, proxies: Proxies) -> str | None:
    """Return the URL of the proxy that a request to `url` goes through, None for straight there."""
    scheme, host, port = origin(url)
    proxy = proxies.https if scheme == "https" else proxies.http
    if not proxy or is_loopback(host) or any(_exempts(rule, host, port) for rule in proxies.no_proxy.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_loopback(host: str) -> bool:
    """Say whether a host, without its port, is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _exempts(rule: str, host: str, port: int) -> bool:
    rule = rule.strip().lower()
    if not rule:
        return False
    if rule == "*":
        return True
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:
        pass
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit() and name.count(":") == 0:
        if int(wanted) != port:
            return False
        rule = name
    rule = rule.removeprefix("*")
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")
