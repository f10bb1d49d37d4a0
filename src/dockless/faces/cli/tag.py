"""Verbs about tags: tags, digest, tag, untag."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects, one_platform

if TYPE_CHECKING:
    from dockless.ops.tag_table import TagRow


@click.command()
@click.argument("place")
@click.option("-l", "--long", "long", is_flag=True, help="With digest, date and size of each.")
@one_platform
@as_json
@connects
def tags(place: str, long: bool, platform: str | None, json: bool, **options: Any) -> None:
    """List the tags of PLACE, one a line."""
    to = Connection(place, options)
    if to.is_v1(platform):
        from dockless.faces.cli import v1

        v1.tags(to, long=long, json=json)
        return
    if platform is not None and not long:
        raise click.UsageError("--platform is for the long form: add --long")
    with to.client() as client:
        if long:
            _table(client.tag_table(to.location, platform=platform), json=json)
        elif json:
            show.json({"place": place, "tags": list(client.tags(to.location))})
        else:
            for name in client.tags(to.location):
                show.line(name)


def _table(rows: "Iterator[TagRow]", *, json: bool) -> None:
    """Print the rows as they come."""
    if json:
        show.json(list(rows))
    else:
        show.table_as_it_comes(map(_cells, rows))


def _cells(row: "TagRow") -> tuple[str, ...]:
    size = "-" if row.size is None else show.size(row.size)
    return row.tag, row.digest or "-", row.created or "-", size, row.error or ",".join(row.platforms)


@click.command()
@click.argument("location")
@one_platform
@as_json
@connects
def digest(location: str, platform: str | None, json: bool, **options: Any) -> None:
    """Print the digest that LOCATION names; for v1 the image id."""
    to = Connection(location, options)
    if to.is_v1(platform):
        from dockless.faces.cli import v1

        v1.digest(to, json=json)
        return
    with to.client() as client:
        found = client.resolve(to.location, platform)
    show.descriptor(str(to.location), found, as_json=json)


@click.command()
@click.argument("location")
@click.argument("names", metavar="NEW…", nargs=-1, required=True)
@as_json
@connects
def tag(location: str, names: tuple[str, ...], json: bool, **options: Any) -> None:
    """Let more tags name what LOCATION names.

    NEW… are tags of the same place, in an archive of Docker's references. Prints the digest, for v1 the image id.
    """
    to = Connection(location, options)
    with to.client() as client:
        found = client.tag(to.location, *names)
    if json:
        show.json({"location": str(to.location), "digest": found, "tags": names})
    else:
        show.line(found)


@click.command()
@click.argument("location")
@connects
def untag(location: str, **options: Any) -> None:
    """Remove one tag.

    What LOCATION names and its other tags stay.
    """
    to = Connection(location, options)
    with to.client() as client:
        client.untag(location)  # as it was typed: a tag that is not named is not meant
