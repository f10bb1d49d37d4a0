"""What the environment says about reaching servers, and where to keep things. Read here, and nowhere below.

Lower-case names win, as curl and Go have it; `HTTP_PROXY` in capitals does not count where a web server runs us
(`REQUEST_METHOD` is set): there it is a header of the request (httpoxy, CVE-2016-5388).
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

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


def cache_directory(environment: Mapping[str, str] | None = None) -> Path | None:
    """Return where things may lie that outlive a run and can be made again, None for a user without a home.

    A relative XDG_CACHE_HOME does not count (XDG base directory specification).
    """
    given = os.environ if environment is None else environment
    named = Path(given.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named / "dockless"
    if sys.platform == "win32" and given.get("LOCALAPPDATA"):
        return Path(given["LOCALAPPDATA"]) / "dockless"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "dockless"
