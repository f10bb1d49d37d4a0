"""A scripted peer that plays a v1 registry, so that a test only scripts what goes wrong."""

import hashlib
import json
import random

from dockless.model.image_id import ImageId
from dockless.net.settings import Settings
from dockless.testing.images import MadeImage
from dockless.testing.peer import Answer, Peer, Reply, json_reply
from dockless.wire.retry import RetryPolicy

NAME = "library/demo"

# Short waits, so that a test of what goes wrong is not a test of patience.
QUICK = Settings(
    connect_timeout=2.0,
    idle_timeout=1.0,
    retry=RetryPolicy(attempts=3, first_pause=0.02, longest_pause=0.05, total=20.0),
)


def one_layer(size: int, seed: int = 1) -> MadeImage:
    """Return an image of one layer of so many bytes that no two places of it look alike."""
    layer = random.Random(seed).randbytes(size)
    image_id = ImageId(hashlib.sha256(layer).hexdigest())
    return MadeImage(image_id, json.dumps({"id": image_id, "os": "linux"}).encode(), layer)


def index(peer: Peer, *endpoints: str, token: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Let `peer` be the index of NAME; without endpoints it names itself."""
    named = [("X-Docker-Endpoints", ",".join(endpoints or (peer.host,)))]
    given = [("X-Docker-Token", token)] if token else []
    peer.on(f"/v1/repositories/{NAME}/images", json_reply([], headers=(*named, *given, *headers)))


def endpoint(peer: Peer, *images: MadeImage, tags: dict[str, str] | None = None, checksums: bool = True) -> None:
    """Let `peer` serve the images, newest first; `latest` is the first unless `tags` says otherwise."""
    ids = [image.id for image in images]
    peer.on(f"/v1/repositories/{NAME}/tags", json_reply({"latest": ids[0]} if tags is None else tags))
    for number, image in enumerate(images):
        size = ("X-Docker-Size", str(len(image.layer)))
        headers = (size, ("X-Docker-Checksum-Payload", image.checksum)) if checksums else (size,)
        peer.on(f"/v1/images/{image.id}/json", Reply(body=image.raw, headers=headers))
        peer.on(f"/v1/images/{image.id}/ancestry", json_reply(ids[number:]))
        layer(peer, image, Reply(body=image.layer, ranges=True))


def layer(peer: Peer, image: MadeImage, *replies: Answer) -> None:
    """Let `peer` answer for the layer as scripted."""
    peer.on(layer_path(image), *replies)


def layer_path(image: MadeImage) -> str:
    """Return the path of the image's layer."""
    return f"/v1/images/{image.id}/layer"


def asked(peer: Peer, path: str) -> list[str | None]:
    """Return the `Range` of each request for `path`, in order."""
    return [request.header("range") for request in peer.requests if request.path == path]
