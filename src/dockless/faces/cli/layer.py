"""Verbs that move layers: blob, pull."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects


@click.command()
@click.argument("location")
@click.option("-o", "--output", metavar="FILE", required=True, help="Where the bytes go; - is standard output.")
@connects
def blob(location: str, output: str, **options: Any) -> None:
    """Fetch one layer, checked: v1:REGISTRY/REPOSITORY@ID, or the topmost one of a tag."""
    if output == "-" and sys.stdout.isatty():
        raise click.UsageError("a layer is not for a terminal; give -o FILE or a pipe")
    to = Connection(location, options)
    with to.image() as image, to.show:
        image_id = to.image_id(image)
        if output != "-":
            image.download(image_id, output)
            return
        with image.layer_reader(image_id) as layer:
            shutil.copyfileobj(layer, sys.stdout.buffer, 1 << 18)


@click.command()
@click.argument("location")
@click.argument("directory", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Layers at once.")
@as_json
@connects
def pull(location: str, directory: Path | None, jobs: int, json: bool, **options: Any) -> None:
    """Fetch an image with all its layers into DIRECTORY (default: the repository's last name).

    The directory is laid out as `docker save` first did, and `dockless serve` serves it.
    """
    to = Connection(location, options)
    root = directory or Path(to.location.repository.rpartition("/")[2])
    with to.image() as image, to.show:
        tag = None if to.location.image_id else to.tag
        pulled = image.download_by_id(to.image_id(image), root, tag=tag, jobs=jobs)
    if json:
        show.json(
            {"directory": str(root), "id": pulled.ids[0]} | {"layers": pulled.ids, "unverified": pulled.unverified}
        )
    else:
        show.line(pulled.ids[0])
