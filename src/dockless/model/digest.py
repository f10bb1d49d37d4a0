"""Digests: `algorithm:hex` (OCI image-spec, descriptor.md, Digests).

Only registered algorithms, lower case and of the right length: nothing else reaches a path, a URL or a comparison.
"""

import hashlib
import re
from typing import NewType

from dockless.model.errors import InvalidReference
from dockless.model.printable import printable

Digest = NewType("Digest", str)

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def is_digest(text: str) -> bool:
    """Say whether `text` is a digest."""
    return _DIGEST.fullmatch(text) is not None


def parse_digest(text: str) -> Digest:
    """Return `text` as a digest. Raises InvalidReference."""
    if not is_digest(text):
        raise InvalidReference(
            f"not a digest: {printable(text, 160)!r}",
            hint="A digest is sha256: with 64, or sha512: with 128, lower-case hexadecimal digits.",
        )
    return Digest(text)


def digest_of(content: bytes) -> Digest:
    """Return the sha256 digest of bytes that are here."""
    return Digest(f"sha256:{hashlib.sha256(content).hexdigest()}")
