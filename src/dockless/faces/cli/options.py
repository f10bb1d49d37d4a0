"""What every verb that talks to a registry can be told, and what it makes of it: an index or an image."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dockless.faces import environment
from dockless.faces.cli.main import VERBOSE
from dockless.faces.cli.show import Show
from dockless.faces.v1 import Image, get_image, open_image
from dockless.model.errors import InvalidReference, Unsupported
from dockless.model.image_id import ImageId
from dockless.model.location import V1Location, parse_location
from dockless.net.settings import Settings
from dockless.wire.http import origin
from dockless.wire.proxy import is_loopback
from dockless.wire.retry import RetryPolicy
from dockless.wire.v1.conversation import Credential

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--plain-http", is_flag=True, help="Speak HTTP without TLS, as loopback hosts get without a TLS option."
    ),
    click.option("--insecure", is_flag=True, help="Speak TLS without checking certificates."),
    click.option("--ca-file", metavar="FILE", help="PEM file of authorities to trust besides the system's."),
    click.option("-u", "--username", metavar="NAME", help="User for the registry."),
    click.option("-p", "--password", metavar="WORD", help="Password; other users of this machine can see it."),
    click.option("--password-stdin", is_flag=True, help="Read the password from standard input."),
    click.option(
        "--trust-endpoint", metavar="HOST", multiple=True, help="Send credentials to this endpoint of the index, too."
    ),
    click.option(
        "--connect-timeout", type=click.FloatRange(min=0.01), default=10.0, show_default=True, help="Seconds."
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
        help="With -vv an error comes with its traceback.",
    ),
)


class Connection:
    """Where and how to reach a v1 registry: a location and the options of the command line."""

    def __init__(self, text: str, options: dict[str, Any]) -> None:
        location = parse_location(text)
        if not isinstance(location, V1Location):
            raise Unsupported(
                f"{text} is not a v1 location, and this version reads no others yet",
                hint="Write v1:REGISTRY/REPOSITORY:TAG for a Docker Registry v1.",
            )
        self.location = location
        self.show = Show(quiet=options["quiet"])
        asks_for_tls = options["insecure"] or options["ca_file"] is not None
        here = is_loopback(origin(f"http://{location.registry}")[1])
        plain = options["plain_http"] or (here and not asks_for_tls)
        self.url = f"{'http' if plain else 'https'}://{location.registry}"
        self.credential = _credential(options)
        self.settings = _settings(options)

    @property
    def tag(self) -> str:
        """The tag that is meant: the one given, else `latest`."""
        return self.location.tag or "latest"

    def image(self) -> Image:
        """Ask the index for the repository."""
        if not self.location.repository:
            raise InvalidReference(f"{self.location} names no repository", hint="Write v1:REGISTRY/REPOSITORY.")
        ask = open_image if self.location.image_id else get_image  # by id alone no tags are needed
        return ask(
            self.location.repository,
            self.url,
            credential=self.credential,
            settings=self.settings,
            observe=self.show.observe,
        )

    def image_id(self, image: Image) -> ImageId:
        """Return the image id that the location means: the one given, else its tag's."""
        return self.location.image_id or image.tag_layer_id(self.tag)


def connects(verb: F) -> F:
    """Give a verb the options of a connection; it takes them as `**options`."""
    for option in reversed(_OPTIONS):
        verb = option(verb)
    return verb


def as_json(verb: F) -> F:
    """Give a verb `--json`."""
    return click.option("--json", "json", is_flag=True, help="Print JSON, in the shape of docs/cli.md.")(verb)


def _credential(options: dict[str, Any]) -> Credential | None:
    if options["password"] and options["password_stdin"]:
        raise click.UsageError("--password and --password-stdin exclude each other")
    if options["username"] is None:
        if options["password"] or options["password_stdin"]:
            raise click.UsageError("a password needs a --username")
        return None
    if options["password_stdin"]:
        return Credential(options["username"], sys.stdin.readline().rstrip("\r\n"))
    if options["password"] is None:
        raise click.UsageError("--username needs --password-stdin or --password")
    return Credential(options["username"], options["password"])


def _settings(options: dict[str, Any]) -> Settings:
    return Settings(
        connect_timeout=options["connect_timeout"],
        idle_timeout=options["idle_timeout"],
        retry=RetryPolicy(attempts=options["retries"] + 1),
        proxies=environment.settings().proxies,
        ca_file=options["ca_file"],
        insecure=options["insecure"],
        trusted_endpoints=frozenset(options["trust_endpoint"]),
    )
