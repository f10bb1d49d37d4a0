"""How to talk to servers, as one value. `Settings()` reads no file and no environment; a face fills it in."""

import msgspec

from dockless.model.version import __version__
from dockless.wire.proxy import Proxies
from dockless.wire.retry import RetryPolicy


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be tuned.

    `connect_timeout` and `idle_timeout` are in seconds; idle is the time without a single byte, before the first one
    too. `ca_file` is a PEM file of authorities added to the system's; `insecure` is TLS without checks.
    `trusted_endpoints` are hosts, with or without a port, that a v1 index may send credentials to.
    """

    connect_timeout: float = 10.0
    idle_timeout: float = 30.0
    retry: RetryPolicy = RetryPolicy()
    proxies: Proxies = Proxies()
    ca_file: str | None = None
    insecure: bool = False
    trusted_endpoints: frozenset[str] = frozenset()
    user_agent: str = f"dockless/{__version__}"
