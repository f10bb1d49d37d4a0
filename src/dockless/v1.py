"""A client for Docker Registry v1.

from dockless import v1

with v1.get_image("library/alpine", "https://registry.example") as image:
    print(image.tags())
    image.download_image("latest", "alpine")
"""

from dockless.faces.blob_reader import BlobReader as LayerReader
from dockless.faces.v1 import DOCKER_HUB, Downloaded, Image, get_image, open_image, ping, search
from dockless.model.v1_documents import SearchResult, V1Config, V1ImageConfig
from dockless.net.settings import Settings
from dockless.ops.inspect_v1 import ImageSummary, LayerSummary
from dockless.ops.pull_v1 import Pulled
from dockless.ops.validate_v1 import CheckedImage, CheckedLayer
from dockless.wire.auth import Credential
from dockless.wire.proxy import Proxies
from dockless.wire.retry import RetryPolicy
from dockless.wire.v1.conversation import Ping

__all__ = [
    "DOCKER_HUB",
    "CheckedImage",
    "CheckedLayer",
    "Credential",
    "Downloaded",
    "Image",
    "ImageSummary",
    "LayerReader",
    "LayerSummary",
    "Ping",
    "Proxies",
    "Pulled",
    "RetryPolicy",
    "SearchResult",
    "Settings",
    "V1Config",
    "V1ImageConfig",
    "get_image",
    "open_image",
    "ping",
    "search",
]
