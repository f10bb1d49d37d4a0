"""What the environment says about reaching servers. Read here, and nowhere below.

Lower-case names win, as curl and Go have it; `HTTP_PROXY` in capitals does not count where a web server runs us
(`REQUEST_METHOD` is set): there it is a header of the request (httpoxy, CVE-2016-5388).
"""

import os
from collections.abc import Mapping

from dockless.net.settings import Settings
from dockless.wire.proxy import Proxies


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings that the environment asks for; the process's own unless another is given."""
    given = os.environ if environment is None else environment
    everything = given.get("all_proxy") or given.get("ALL_PROXY") or ""
    http = given.get("http_proxy") or ("" if "REQUEST_METHOD" in given else given.get("HTTP_PROXY", ""))
    return Settings(
        proxies=Proxies(
            http=http or everything,
            https=given.get("https_proxy") or given.get("HTTPS_PROXY") or everything,
            no_proxy=given.get("no_proxy") or given.get("NO_PROXY") or "",
        )
    )
