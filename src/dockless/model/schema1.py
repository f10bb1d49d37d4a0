"""Docker image manifest version 2, schema 1: the manifests between v1 and today's (distribution, manifest-v2-1.md).

Rules:
* It holds the v1 JSON of each image of an ancestry, and the digest of each one's layer, newest first; no sizes.
* A signed one ends with signatures that the digest does not cover: each says how many of the first bytes, and which
  ones after them, are the document that was signed. Only that document is read. Anyone can sign with a key of their
  own, so the signatures themselves prove nothing and are not checked.
* Where it is stored as plain content, its digest is that of all bytes.
* Each image names the next one as its parent. One that comes twice in a row counts once: some servers wrote that.
"""

import base64

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, digest_of, is_digest
from dockless.model.errors import ChecksumMismatch, InvalidDocument
from dockless.model.image_id import is_image_id
from dockless.model.v1_documents import MOST_ANCESTORS, decode


class Schema1Layer(msgspec.Struct, frozen=True):
    """One image of the ancestry: its v1 JSON and the digest of its layer; `throwaway`: that layer holds nothing."""

    digest: Digest
    v1: bytes
    throwaway: bool


class Schema1(msgspec.Struct, frozen=True):
    """A manifest of schema 1; its layers base first, as everywhere else."""

    descriptor: Descriptor
    raw: bytes
    name: str
    tag: str
    architecture: str
    layers: tuple[Schema1Layer, ...]


class _FsLayer(msgspec.Struct, rename="camel"):
    blob_sum: str


class _History(msgspec.Struct, rename="camel"):
    v1_compatibility: str


class _Body(msgspec.Struct, rename="camel"):
    schema_version: int
    fs_layers: list[_FsLayer]
    history: list[_History]
    name: str = ""
    tag: str = ""
    architecture: str = ""


class _Compatibility(msgspec.Struct):
    id: str
    parent: str | None = None
    throwaway: bool = False


class _Signature(msgspec.Struct):
    protected: str


class _Signed(msgspec.Struct):
    signatures: list[_Signature] | None = None


class _Protected(msgspec.Struct, rename="camel"):
    format_length: int
    format_tail: str


def signed_part(raw: bytes) -> bytes:
    """Return the bytes that a manifest's digest covers, all of them for one that is not signed.

    Raises InvalidDocument.
    """
    what = "the manifest of schema 1"
    parts = {_part(one.protected, raw, what) for one in decode(raw, _Signed, what).signatures or ()}
    if len(parts) > 1:
        raise InvalidDocument(f"{what} has signatures that do not agree on what they sign")
    return parts.pop() if parts else raw


def _part(protected: str, raw: bytes, what: str) -> bytes:
    header = decode(_unpadded(protected, what), _Protected, f"a signature of {what}")
    if not 0 <= header.format_length <= len(raw):
        raise InvalidDocument(f"a signature of {what} covers {header.format_length} bytes, and there are {len(raw)}")
    return raw[: header.format_length] + _unpadded(header.format_tail, what)


def _unpadded(text: str, what: str) -> bytes:
    """Decode base64url without padding (RFC 7515, section 2)."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)
    except ValueError as error:
        raise InvalidDocument(f"a signature of {what} is not base64") from error


def parse_schema1(descriptor: Descriptor, raw: bytes) -> Schema1:
    """Read a manifest of schema 1 and verify its digest. Raises ChecksumMismatch, InvalidDocument."""
    what = f"the manifest {descriptor.digest}"
    signed = signed_part(raw)
    if descriptor.digest not in {digest_of(signed), digest_of(raw)}:
        raise ChecksumMismatch(
            f"{what} is not what its digest promises: {digest_of(signed)} came",
            hint="It is damaged at its source, or was on the way; nothing was kept.",
        )
    body = decode(signed, _Body, what)
    if body.schema_version != 1:
        raise InvalidDocument(f"{what} is of schema {body.schema_version}, and came as {descriptor.media_type}")
    if not 0 < len(body.fs_layers) == len(body.history) <= MOST_ANCESTORS:
        raise InvalidDocument(
            f"{what} has {len(body.fs_layers)} layers and {len(body.history)} images; "
            f"there must be as many, and {MOST_ANCESTORS} at most"
        )
    layers = tuple(_layers(body, what))
    return Schema1(descriptor, raw, body.name, body.tag, body.architecture, layers)


def _layers(body: _Body, what: str) -> list[Schema1Layer]:
    layers: list[Schema1Layer] = []
    below = ""
    seen = set()
    for fs_layer, history in zip(reversed(body.fs_layers), reversed(body.history), strict=True):
        v1 = history.v1_compatibility.encode()
        image = decode(v1, _Compatibility, f"an image of {what}")
        if image.id == below:
            continue
        if not is_image_id(image.id) or image.id in seen or (image.parent or "") != below:
            raise InvalidDocument(f"{what} holds images that do not stand on each other")
        if not is_digest(fs_layer.blob_sum):
            raise InvalidDocument(f"{what} names a layer by something that is not a digest")
        layers.append(Schema1Layer(Digest(fs_layer.blob_sum), v1, image.throwaway))
        seen.add(below := image.id)
    return layers
