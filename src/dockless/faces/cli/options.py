"""What every verb that talks to a registry can be told, and what it makes of it: a client, a v1 index or a v1 image."""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from dockless.faces import environment
from dockless.faces.cli.main import VERBOSE
from dockless.faces.cli.show import Show
from dockless.faces.named import location_of
from dockless.model.errors import InvalidReference
from dockless.model.image_id import ImageId
from dockless.model.location import Location, RegistryLocation, V1Location
from dockless.net.settings import Settings
from dockless.wire.auth import Credential
from dockless.wire.retry import RetryPolicy

if TYPE_CHECKING:
    from dockless.faces.client import Client, CopyArguments
    from dockless.faces.v1 import Image

F = TypeVar("F", bound=Callable[..., Any])

_FOR = {"": "", "from": " for SOURCE", "to": " for DESTINATION"}

_PATIENCE = (
    click.option(
        "--connect-timeout",
        type=click.FloatRange(min=0.01),
        default=10.0,
        show_default=True,
        help="Seconds after which a host that does not answer counts as not there.",
    ),
    click.option(
        "--idle-timeout",
        type=click.FloatRange(min=0.01),
        default=30.0,
        show_default=True,
        help="Seconds without a single byte after which a connection counts as stalled.",
    ),
    click.option(
        "--retries", type=click.IntRange(min=0), default=3, show_default=True, help="Tries after the first one."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing but results and errors."),
    click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=lambda context, _, count: context.meta.update({VERBOSE: count}),
        help="Name each blob that is there already; with -vv an error comes with its traceback.",
    ),
)


class Connection:
    """A place and how to reach it: what a verb was told.

    Where a verb has two places, `side` is "from" or "to", and the second shows what happens through the `show` of the
    first.
    """

    def __init__(
        self, place: str | Location, options: dict[str, Any], side: str = "", show: Show | None = None
    ) -> None:
        self.location: Location = location_of(place)
        verbosity = click.get_current_context().meta.get(VERBOSE, 0)
        self.show = show or Show(quiet=options["quiet"], verbose=verbosity > 0)
        self.credential = _credential(options, side)
        self.settings = _settings(options, side)

    def is_v1(self, platform: str | None = None) -> bool:
        """Say whether v1 has to answer, which has no `platform` to choose."""
        if isinstance(self.location, V1Location) and platform is not None:
            raise click.UsageError("a v1 image has one platform: leave out --platform")
        return isinstance(self.location, V1Location)

    @property
    def v1(self) -> V1Location:
        """The location, where `is_v1` said that it is one of v1."""
        return cast("V1Location", self.location)

    @property
    def url(self) -> str:
        """The URL of the v1 index."""
        return self.settings.url(self.v1.registry)

    def client(self) -> "Client":
        """Return a client that reaches the place as it was told."""
        from dockless.faces.client import Client

        return Client(self.settings, credentials=self.credentials, observe=self.show.observe)

    def reaches_like(self, other: "Connection") -> bool:
        """Say whether both places are reached in the same way, so that one client can do for both."""
        return self.settings == other.settings and self.credentials == other.credentials

    def image(self) -> "Image":
        """Ask the v1 index for the repository."""
        from dockless.faces.v1 import get_image, open_image

        if not self.v1.repository:
            raise InvalidReference(f"{self.location} names no repository", hint="Write v1:REGISTRY/REPOSITORY.")
        ask = open_image if self.v1.image_id else get_image  # by id alone no tags are needed
        return ask(
            self.v1.repository,
            self.url,
            credential=self.credential,
            settings=self.settings,
            observe=self.show.observe,
        )

    def image_id(self, image: "Image") -> ImageId:
        """Return the image id that the v1 location means: the one given, else its tag's."""
        return self.v1.image_id or image.tag_layer_id(self.tag)

    @property
    def tag(self) -> str:
        """The tag that the v1 location means: the one given, else `latest`."""
        return self.v1.tag or "latest"

    @property
    def credentials(self) -> dict[str, Credential]:
        """The credential, under the registry that it is for."""
        match self.location, self.credential:
            case _, None:
                return {}
            case RegistryLocation(reference), credential:
                return {reference.registry: credential}
            case V1Location(registry), credential:
                return {registry: credential}
            case _:
                raise click.UsageError(f"{self.location} takes no credentials")


def connects(verb: F) -> F:
    """Give a verb the options of a connection; it takes them as `**options`."""
    return _with(verb, [*_tls(""), *_credentials(""), *_PATIENCE])


def connects_both(verb: F) -> F:
    """Give a verb the options of two connections: those of TLS for both, and everything for each side alone."""
    sides = [option for side in ("from", "to") for option in (*_tls(side), *_credentials(side))]
    return _with(verb, [*_tls(""), *sides, *_PATIENCE])


def moves(verb: F) -> F:
    """Give a verb what a copy can be told; `move` takes it out of its options."""
    platforms = "Only OS/ARCH[/VARIANT]; may be given several times. Default: all, with digests as they are."
    options = [
        click.option("--platform", metavar="P", multiple=True, help=platforms),
        click.option("--referrers", is_flag=True, help="Take signatures, SBOMs and all else that refers to it along."),
        click.option("--no-clobber", is_flag=True, help="Fail rather than let a tag name something else."),
        click.option("--dry-run", is_flag=True, help="Say what would be copied, and copy nothing."),
        click.option("-j", "--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Blobs at once."),
    ]
    return _with(verb, options)


def move(options: dict[str, Any]) -> "CopyArguments":
    """Return the arguments of a copy."""
    return {
        "platforms": None if "all" in options["platform"] else options["platform"] or None,
        "referrers": options["referrers"],
        "clobber": not options["no_clobber"],
        "dry_run": options["dry_run"],
        "jobs": options["jobs"],
    }


def as_json(verb: F) -> F:
    """Give a verb `--json`."""
    return click.option("--json", "json", is_flag=True, help="Print JSON, in the shape of docs/cli.md.")(verb)


def one_platform(verb: F) -> F:
    """Give a verb `--platform` for one platform."""
    return click.option("--platform", metavar="P", help="OS/ARCH[/VARIANT], where there are several.")(verb)


def _with(verb: F, options: Iterable[Callable[[F], F]]) -> F:
    for option in reversed(list(options)):
        verb = option(verb)
    return verb


def _tls(side: str) -> list[Callable[[F], F]]:
    whose, dashed = _FOR[side], f"--{side}-" if side else "--"
    plain = f"Speak HTTP without TLS{whose}, as loopback hosts get without an option of TLS."
    return [
        click.option(f"{dashed}plain-http", is_flag=True, help=plain),
        click.option(f"{dashed}insecure", is_flag=True, help=f"Speak TLS without checking certificates{whose}."),
        click.option(f"{dashed}ca-file", metavar="FILE", help=f"PEM file of authorities to trust{whose}, too."),
    ]


def _credentials(side: str) -> list[Callable[[F], F]]:
    whose, dashed = _FOR[side], f"--{side}-" if side else "--"
    user, word = ([], []) if side else (["-u"], ["-p"])
    visible = f"Password{whose}; other users of this machine can see it."
    trust = f"Send credentials{whose} to this host, too: an endpoint of a v1 index, a token service."
    return [
        click.option(*user, f"{dashed}username", metavar="NAME", help=f"User{whose or ' for the registry'}."),
        click.option(*word, f"{dashed}password", metavar="WORD", help=visible),
        click.option(f"{dashed}password-stdin", is_flag=True, help=f"Read the password{whose} from standard input."),
        click.option(f"{dashed}trust-endpoint", metavar="HOST", multiple=True, help=trust),
    ]


def _credential(options: dict[str, Any], side: str) -> Credential | None:
    prefix = f"{side}_" if side else ""
    username, password, from_stdin = (options[prefix + name] for name in ("username", "password", "password_stdin"))
    dashed = f"--{side}-" if side else "--"
    if password and from_stdin:
        raise click.UsageError(f"{dashed}password and {dashed}password-stdin exclude each other")
    if username is None:
        if password or from_stdin:
            raise click.UsageError(f"a password needs a {dashed}username")
        return None
    if from_stdin:
        return Credential(username, sys.stdin.readline().rstrip("\r\n"))
    if password is None:
        raise click.UsageError(f"{dashed}username needs {dashed}password-stdin or {dashed}password")
    return Credential(username, password)


def _settings(options: dict[str, Any], side: str) -> Settings:
    def told(name: str) -> Any:
        return options.get(f"{side}_{name}" if side else name) or options.get(name)

    return Settings(
        connect_timeout=options["connect_timeout"],
        idle_timeout=options["idle_timeout"],
        retry=RetryPolicy(attempts=options["retries"] + 1),
        proxies=environment.settings().proxies,
        plain_http=bool(told("plain_http")),
        ca_file=told("ca_file"),
        insecure=bool(told("insecure")),
        trusted_endpoints=frozenset(told("trust_endpoint") or ()),
    )
