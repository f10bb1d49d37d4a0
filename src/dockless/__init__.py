"""dockless: container images in registries, without Docker.

The public names load when they are first asked for (PEP 562): importing dockless costs almost nothing.
"""

TYPE_CHECKING = False  # as type checkers know it, without the cost of importing typing
if TYPE_CHECKING:
    from dockless import v1
    from dockless.faces.aio import AsyncBlobReader, AsyncClient
    from dockless.faces.blob_reader import BlobReader
    from dockless.faces.client import Client, copy
    from dockless.faces.protocols import Protocols
    from dockless.model.descriptor import Descriptor
    from dockless.model.documents import Document, Index, Manifest, Opaque
    from dockless.model.errors import (
        Cancelled,
        ChecksumMismatch,
        Conflict,
        CopyFault,
        Denied,
        DocklessError,
        InvalidDocument,
        InvalidReference,
        LocalFault,
        NetworkFault,
        NotFound,
        RateLimited,
        RemoteFault,
        SizeMismatch,
        Unauthorized,
        Unsupported,
        VerificationFailed,
    )
    from dockless.model.events import (
        BlobAdvanced,
        BlobFinished,
        BlobMounted,
        BlobQueued,
        BlobStarted,
        Event,
        Notice,
        Observer,
        Retrying,
    )
    from dockless.model.image_config import History, ImageConfig
    from dockless.model.location import ArchiveLocation, Location, RegistryLocation, V1Location, parse_location
    from dockless.model.platform import Platform, parse_platform
    from dockless.model.reference import Reference, parse_reference
    from dockless.model.version import __version__
    from dockless.net.settings import Settings
    from dockless.ops.copy import Copied
    from dockless.ops.image import Image, ImageLayer, ImageSummary, LayerSummary, PlatformSummary
    from dockless.ops.tag_table import TagRow
    from dockless.ops.validate import Finding, Report
    from dockless.wire.auth import Credential
    from dockless.wire.proxy import Proxies
    from dockless.wire.retry import RetryPolicy

_HOMES = {  # of all but the errors
    "dockless.faces.aio": "AsyncBlobReader AsyncClient",
    "dockless.faces.blob_reader": "BlobReader",
    "dockless.faces.client": "Client copy",
    "dockless.faces.protocols": "Protocols",
    "dockless.model.descriptor": "Descriptor",
    "dockless.model.documents": "Document Index Manifest Opaque",
    "dockless.model.events": (
        "BlobAdvanced BlobFinished BlobMounted BlobQueued BlobStarted Event Notice Observer Retrying"
    ),
    "dockless.model.image_config": "History ImageConfig",
    "dockless.model.location": "ArchiveLocation Location RegistryLocation V1Location parse_location",
    "dockless.model.platform": "Platform parse_platform",
    "dockless.model.reference": "Reference parse_reference",
    "dockless.model.version": "__version__",
    "dockless.net.settings": "Settings",
    "dockless.ops.copy": "Copied",
    "dockless.ops.image": "Image ImageLayer ImageSummary LayerSummary PlatformSummary",
    "dockless.ops.tag_table": "TagRow",
    "dockless.ops.validate": "Finding Report",
    "dockless.wire.auth": "Credential",
    "dockless.wire.proxy": "Proxies",
    "dockless.wire.retry": "RetryPolicy",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ArchiveLocation",
    "AsyncBlobReader",
    "AsyncClient",
    "BlobAdvanced",
    "BlobFinished",
    "BlobMounted",
    "BlobQueued",
    "BlobReader",
    "BlobStarted",
    "Cancelled",
    "ChecksumMismatch",
    "Client",
    "Conflict",
    "Copied",
    "CopyFault",
    "Credential",
    "Denied",
    "Descriptor",
    "DocklessError",
    "Document",
    "Event",
    "Finding",
    "History",
    "Image",
    "ImageConfig",
    "ImageLayer",
    "ImageSummary",
    "Index",
    "InvalidDocument",
    "InvalidReference",
    "LayerSummary",
    "LocalFault",
    "Location",
    "Manifest",
    "NetworkFault",
    "NotFound",
    "Notice",
    "Observer",
    "Opaque",
    "Platform",
    "PlatformSummary",
    "Protocols",
    "Proxies",
    "RateLimited",
    "Reference",
    "RegistryLocation",
    "RemoteFault",
    "Report",
    "RetryPolicy",
    "Retrying",
    "Settings",
    "SizeMismatch",
    "TagRow",
    "Unauthorized",
    "Unsupported",
    "V1Location",
    "VerificationFailed",
    "__version__",
    "copy",
    "parse_location",
    "parse_platform",
    "parse_reference",
    "v1",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "v1":
        return import_module("dockless.v1")
    found: object = getattr(import_module(_HOME_OF.get(name, "dockless.model.errors")), name)
    return found


def __dir__() -> list[str]:
    return __all__
