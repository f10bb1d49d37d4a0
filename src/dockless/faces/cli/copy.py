"""Verbs that move images: copy, pull, push."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects, connects_both, move, moves
from dockless.faces.named import pull_destination
from dockless.model.location import Location

if TYPE_CHECKING:
    from dockless.ops.copy import Copied


@click.command()
@click.argument("source")
@click.argument("destination")
@moves
@as_json
@connects_both
def copy(source: str, destination: str, json: bool, **options: Any) -> None:
    """Copy an image, or anything a manifest describes.

    SOURCE and DESTINATION are places of any kind; `dockless --help` lists them. All platforms are copied, and digests
    stay as they are, unless --platform asks for some.
    """
    start = Connection(source, options, side="from")
    end = Connection(destination, options, side="to", show=start.show)
    arguments = move(options)
    with start.show, start.client() as client, end.client() as other:
        arguments["to"] = None if start.reaches_like(end) else other
        copied = client.copy(start.location, end.location, **arguments)
    _print(copied, end.location, start.show, json=json, dry_run=options["dry_run"])


@click.command()
@click.argument("reference")
@click.argument("destination", required=False)
@moves
@as_json
@connects
def pull(reference: str, destination: str | None, json: bool, **options: Any) -> None:
    """Fetch an image from a registry.

    DESTINATION is a layout or an archive; the default is a layout named like the repository, oci:NAME:TAG. From v1:… a
    DESTINATION without a scheme is a directory laid out as `docker save` first did, with the images as they were
    pushed.
    """
    start = Connection(reference, options)
    if start.is_v1() and destination is not None and ":" not in destination:
        from dockless.faces.cli import v1

        v1.pull(start, Path(destination), json=json, options=options)
        return
    end = pull_destination(start.location, destination)
    with start.show, start.client() as client:
        copied = client.pull(start.location, end, **move(options))
    _print(copied, end, start.show, json=json, dry_run=options["dry_run"])


@click.command()
@click.argument("source")
@click.argument("reference")
@moves
@as_json
@connects
def push(source: str, reference: str, json: bool, **options: Any) -> None:
    """Send an image to a registry.

    SOURCE is a layout or an archive.
    """
    end = Connection(reference, options)
    with end.show, end.client() as client:
        copied = client.push(source, end.location, **move(options))
    _print(copied, end.location, end.show, json=json, dry_run=options["dry_run"])


def _print(copied: "Copied", destination: Location, to: show.Show, *, json: bool, dry_run: bool) -> None:
    to.sum_up(_summary(copied, dry_run=dry_run))
    if json:
        show.json({"destination": str(destination)} | show.as_dict(copied))
    else:
        show.line(copied.root.digest)


def _summary(copied: "Copied", *, dry_run: bool) -> str:
    """Say what was copied, or would be."""
    if not (copied.blobs or copied.manifests or copied.mounted):
        return "nothing to copy: all of it is there already"
    done = [f"{'would copy' if dry_run else 'copied'} {show.count(copied.blobs, 'blob')}"]
    done[0] += f" and {show.count(copied.manifests, 'manifest')}, {show.size(copied.bytes)}"
    more = [
        (copied.mounted, "mounted from another repository"),
        (copied.present, "there already"),
        (copied.foreign, "left out, foreign to the source"),
        (copied.referrers, "of them referrers"),
    ]
    return "; ".join(done + [f"{number} {what}" for number, what in more if number])
