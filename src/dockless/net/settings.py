"""How to talk to servers, as one value. `Settings()` reads no file and no environment; a face fills it in."""

import msgspec

from dockless.model.version import __version__
from dockless.wire.http import origin
from dockless.wire.proxy import Proxies, is_loopback
from dockless.wire.retry import RetryPolicy


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be tuned.

    `connect_timeout` and `idle_timeout` are in seconds; idle is the time without a single byte, before the first one
    too. `plain_http` is no TLS where a registry is named without a scheme. `ca_file` is a PEM file of authorities added
    to the system's; `insecure` is TLS without checks. `trusted_endpoints` are hosts, with or without a port, that a
    registry's credentials may be sent to: endpoints of a v1 index, token services.
    """

    connect_timeout: float = 10.0
    idle_timeout: float = 30.0
    retry: RetryPolicy = RetryPolicy()
    proxies: Proxies = Proxies()
    plain_http: bool = False
    ca_file: str | None = None
    insecure: bool = False
    trusted_endpoints: frozenset[str] = frozenset()
    user_agent: str = f"dockless/{__version__}"

    def url(self, registry: str) -> str:
        """Return the URL of `host[:port]`: over TLS, but for plain HTTP and, without an option of TLS, the loopback."""
        asks_for_tls = self.insecure or self.ca_file is not None
        plain = self.plain_http or (not asks_for_tls and is_loopback(origin(f"http://{registry}")[1]))
        return f"{'http' if plain else 'https'}://{registry}"
