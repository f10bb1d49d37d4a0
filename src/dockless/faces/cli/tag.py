"""Verbs about tags: tags, digest."""

from typing import Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects


@click.command()
@click.argument("place")
@as_json
@connects
def tags(place: str, json: bool, **options: Any) -> None:
    """List the tags of PLACE, one a line."""
    with Connection(place, options).image() as image:
        if json:
            show.json({"name": image.name, "tags": image.tag_ids()})
            return
        for tag in sorted(image.tags()):
            show.line(tag)


@click.command()
@click.argument("location")
@as_json
@connects
def digest(location: str, json: bool, **options: Any) -> None:
    """Print what LOCATION's tag names: for v1 the image id."""
    to = Connection(location, options)
    with to.image() as image:
        image_id = to.image_id(image)
        if json:
            show.json({"name": image.name, "tag": None if to.location.image_id else to.tag, "id": image_id})
        else:
            show.line(image_id)
