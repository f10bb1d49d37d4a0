"""Verb about blobs: blob."""

import shutil
import sys
from typing import Any

import click

from dockless.faces.cli.options import Connection, connects


@click.command()
@click.argument("location")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where the bytes go; - is standard output.")
@connects
def blob(location: str, output: str, **options: Any) -> None:
    """Fetch one blob, checked.

    LOCATION is PLACE@DIGEST. Of v1 it is a layer: v1:REGISTRY/REPOSITORY@IMAGE_ID, or the topmost one of a tag.
    """
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("a blob is not for a terminal; give -o FILE or a pipe")
    to = Connection(location, options)
    if to.is_v1():
        from dockless.faces.cli import v1

        v1.blob(to, output)
        return
    with to.client() as client, to.show:
        if output != "-":
            client.download(to.location, output)
            return
        with client.blob(to.location) as content:
            shutil.copyfileobj(content, sys.stdout.buffer, 1 << 18)
