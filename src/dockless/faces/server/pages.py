"""The answers that are HTML: what a framework said for the original registry when no route took the request.

A client must not assume that an error's body is JSON; these are the bodies it meets instead.
"""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus

from starlette.responses import HTMLResponse

_DOCTYPE = '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">\n'
_WORDS = {
    404: "The requested URL was not found on the server.  "
    "If you entered the URL manually please check your spelling and try again.",
    405: "The method is not allowed for the requested URL.",
    500: "The server encountered an internal error and was unable to complete your request.  "
    "Either the server is overloaded or there is an error in the application.",
}


def error_page(status: int, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """Return the page for an HTTP error, with `headers` (`Allow` for a 405)."""
    phrase = HTTPStatus(status).phrase
    words = f"<p>{_WORDS[status]}</p>\n" if status in _WORDS else ""
    page = f"{_DOCTYPE}<title>{status} {phrase}</title>\n<h1>{phrase}</h1>\n{words}"
    return HTMLResponse(page, status, headers=headers)


def moved_page(url: str) -> HTMLResponse:
    """Return the 301 to `url`, which is absolute and quoted."""
    link = escape(url)
    page = (
        f"{_DOCTYPE}<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n<p>You should be redirected automatically "
        f'to target URL: <a href="{link}">{link}</a>.  If not click the link.'
    )
    return HTMLResponse(page, 301, headers={"Location": url})
