"""What a push to a v1 registry says, and what its answers mean.

Rules:
* 409 says that the image is complete there: an image does not change, so there is nothing to send.
* The checksum is that of the payload: JSON, newline and layer as they were sent. It goes in
  `X-Docker-Checksum-Payload`, and in `X-Docker-Checksum` for older servers, which take it there in place of a tarsum.
* 400 to a checksum says that the bytes did not arrive as they were sent. Every other answer is about something else.
* JSON goes as `application/json`, a layer as `application/octet-stream`: a form's type would lose the body.
"""

from collections.abc import Iterable

import msgspec

from dockless.model.image_id import ImageId

PRESENT = 409
MISMATCH = 400

JSON = ("Content-Type", "application/json")
LAYER = ("Content-Type", "application/octet-stream")
ASK_FOR_TOKEN = ("X-Docker-Token", "true")


def image_list(images: Iterable[tuple[ImageId, str | None]]) -> bytes:
    """Return the list that a push begins and ends with: ids with their checksums, None where there is none to tell."""
    return msgspec.json.encode([{"id": one, "checksum": sent} if sent else {"id": one} for one, sent in images])


def checksum_headers(checksum: str) -> tuple[tuple[str, str], ...]:
    """Return the headers that complete an image."""
    return ("X-Docker-Checksum-Payload", checksum), ("X-Docker-Checksum", checksum)
