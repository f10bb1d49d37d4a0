"""What can go wrong, as one tree.

Rules:
* A message names the host, what was asked and what came back; `hint` says what to try next.
* `exit_code` is what the command line ends with (docs/cli.md).
* No message ever holds a credential; words of a server are made printable before they enter one.
"""

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from dockless.model.descriptor import Descriptor


class DocklessError(Exception):
    """The root of the tree.

    `hint` is what a person can do next, `status` the HTTP status that was seen, if one was, and `causes` the
    places that were tried, each with its own error, where several were. `codes` are those of a v2 registry's own
    errors.
    """

    exit_code: ClassVar[int] = 1
    usual_hint: ClassVar[str] = ""
    codes: tuple[str, ...] = ()

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        causes: "tuple[tuple[str, DocklessError], ...]" = (),
    ) -> None:
        super().__init__(message)
        self.hint = hint or self.usual_hint
        self.status = status
        self.causes = causes


class InvalidReference(DocklessError):
    """A name, reference, location, URL or id that the caller gave is not one."""

    exit_code = 2


class InvalidDocument(DocklessError):
    """A server or a file answered with something that is not the document it should be."""

    usual_hint = "It is damaged, or not what it should be."


class NotFound(DocklessError):
    """The image, tag, layer or file is not there."""

    exit_code = 3
    usual_hint = "Is the name right? `dockless tags` and `dockless catalog` list what there is."


class Unauthorized(DocklessError):
    """The server wants credentials, or others (HTTP 401)."""

    exit_code = 4


class Denied(DocklessError):
    """The credentials are known and not enough (HTTP 403)."""

    exit_code = 4


class VerificationFailed(DocklessError):
    """Content is not what its size or checksum says."""

    exit_code = 5


class SizeMismatch(VerificationFailed):
    """More or fewer bytes than promised."""

    usual_hint = "It is damaged at its source, or was on the way; nothing was kept."


class ChecksumMismatch(VerificationFailed):
    """The bytes do not have the promised checksum."""


class RemoteFault(DocklessError):
    """The server answered, and not with what was asked for.

    `retry_after` is the pause the server asks for, in seconds, if it named one.
    """

    exit_code = 6
    usual_hint = "The fault is the registry's: try again later, or tell who runs it."

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        status: int | None = None,
        causes: tuple[tuple[str, DocklessError], ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint, status=status, causes=causes)
        self.retry_after = retry_after


class RateLimited(RemoteFault):
    """HTTP 429."""


class NetworkFault(DocklessError):
    """No answer: refused, cut, timed out, no such host, no TLS."""

    exit_code = 6


class LocalFault(DocklessError):
    """This machine refused: a full disk, a directory that cannot be written."""

    usual_hint = "Is there room, is the path right, and may you?"


class Unsupported(DocklessError):
    """Not something this version, or this place, can do."""


class Conflict(DocklessError):
    """What is there is not what was to be put there, and it stays."""


class CopyFault(DocklessError):
    """A copy failed at one side: `side` is "source" or "destination", `descriptor` the content it failed at.

    It is raised from the error of that side, whose status, hint and exit code it takes over.
    """

    def __init__(self, fault: DocklessError, side: str, descriptor: "Descriptor | None") -> None:
        super().__init__(f"{side}: {fault}", hint=fault.hint, status=fault.status, causes=fault.causes)
        self.side = side
        self.descriptor = descriptor
        self.exit_code = fault.exit_code  # type: ignore[misc]  # that of this one, not of its class


class Cancelled(DocklessError):
    """Stopped because the caller said so."""

    exit_code = 130
