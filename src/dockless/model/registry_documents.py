"""The documents of a v2 registry beside manifests: errors, lists of names, and what a manifest says of its own type."""

from typing import TypeVar

import msgspec

from dockless.model.errors import InvalidDocument
from dockless.model.media_types import DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED
from dockless.model.printable import printable
from dockless.model.v1_documents import decode

T = TypeVar("T")

# What servers say that do not know; the first registries sent schema 1 as plain JSON.
_VAGUE = frozenset({"", "application/json", "application/octet-stream", "text/json", "text/plain"})


class RegistryError(msgspec.Struct, frozen=True):
    """One error of a registry (distribution-spec, "Error Codes")."""

    code: str = ""
    message: str | None = None

    def __str__(self) -> str:
        return printable(": ".join(filter(None, (self.code, self.message))), 500)


class _Errors(msgspec.Struct):
    errors: list[RegistryError]


def registry_errors(body: bytes) -> tuple[RegistryError, ...]:
    """Return the errors that an answer's body lists; none when it is anything else (HTML, say, or cut)."""
    try:
        return tuple(msgspec.json.decode(body, type=_Errors).errors[:10])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ()


class _Tags(msgspec.Struct):
    tags: list[str] | None


class _Catalog(msgspec.Struct):
    repositories: list[str] | None


def tag_list(raw: bytes, what: str) -> list[str]:
    """Return the names in a page of tags, unchecked; `null` is none. Raises InvalidDocument."""
    return decode(raw, _Tags, what).tags or []


def catalog_list(raw: bytes, what: str) -> list[str]:
    """Return the names in a page of the catalog, unchecked; `null` is none. Raises InvalidDocument."""
    return decode(raw, _Catalog, what).repositories or []


class _Typed(msgspec.Struct, rename="camel"):
    schema_version: int | None = None
    media_type: str | None = None
    signatures: list[msgspec.Raw] | None = None


def essence(content_type: str | None) -> str:
    """Return a `Content-Type` without its parameters, in lower case; empty for none."""
    return (content_type or "").partition(";")[0].strip().lower()


def document_type(content_type: str | None, raw: bytes, what: str) -> str:
    """Return the media type of a manifest that came as `content_type`: that one, unless it says nothing.

    Raises InvalidDocument for a web page, and for a document whose type nobody names.
    """
    said = essence(content_type)
    if said in {"text/html", "application/xhtml+xml"} or (said in _VAGUE and raw.lstrip()[:1] == b"<"):
        raise InvalidDocument(f"{what} is a web page, and no manifest")
    if said not in _VAGUE:
        return said
    body = decode(raw, _Typed, what)
    if body.media_type:
        return printable(body.media_type, 200)
    if body.schema_version == 1:
        return DOCKER_SCHEMA1_SIGNED if body.signatures else DOCKER_SCHEMA1
    raise InvalidDocument(f"{what} came as {said or 'nothing'!r}, and does not say of which type it is")
