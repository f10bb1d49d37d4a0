"""dockless: container images in registries, without Docker.

The public names load when they are first asked for (PEP 562): importing dockless costs almost nothing.
"""

TYPE_CHECKING = False  # as type checkers know it, without the cost of importing typing
if TYPE_CHECKING:
    from dockless import v1
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
    from dockless.model.location import parse_location
    from dockless.model.reference import parse_reference
    from dockless.model.version import __version__

__all__ = [
    "Cancelled",
    "ChecksumMismatch",
    "Conflict",
    "CopyFault",
    "Denied",
    "DocklessError",
    "InvalidDocument",
    "InvalidReference",
    "LocalFault",
    "NetworkFault",
    "NotFound",
    "RateLimited",
    "RemoteFault",
    "SizeMismatch",
    "Unauthorized",
    "Unsupported",
    "VerificationFailed",
    "__version__",
    "parse_location",
    "parse_reference",
    "v1",
]

_ELSEWHERE = {
    "__version__": "dockless.model.version",
    "parse_location": "dockless.model.location",
    "parse_reference": "dockless.model.reference",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "v1":
        return import_module("dockless.v1")
    found: object = getattr(import_module(_ELSEWHERE.get(name, "dockless.model.errors")), name)
    return found


def __dir__() -> list[str]:
    return __all__
