"""Image ids of v1: 16 or 64 lower-case hexadecimal digits, and nothing else.

Nothing that fails this reaches a path or a URL (CVE-2014-9358 and its kin).
"""

import re
from typing import NewType

from dockless.model.errors import InvalidReference
from dockless.model.printable import printable

ImageId = NewType("ImageId", str)

_IMAGE_ID = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{48})?")


def is_image_id(text: object) -> bool:
    """Say whether `text` is an image id."""
    return isinstance(text, str) and _IMAGE_ID.fullmatch(text) is not None


def parse_image_id(text: str) -> ImageId:
    """Return `text` as an image id. Raises InvalidReference."""
    if not is_image_id(text):
        raise InvalidReference(
            f"not an image id: {printable(text, 80)!r}", hint="An image id is 16 or 64 lower-case hexadecimal digits."
        )
    return ImageId(text)
