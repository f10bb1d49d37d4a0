"""Verbs about an image: config, history, layers, inspect."""

import sys
from typing import Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects
from dockless.model.printable import printable
from dockless.model.v1_documents import V1Config, decode
from dockless.ops.inspect_v1 import ImageSummary


@click.command()
@click.argument("location")
@as_json
@connects
def config(location: str, json: bool, **options: Any) -> None:
    """Print the image's JSON, byte for byte as it was pushed; with --json laid out and escaped."""
    to = Connection(location, options)
    with to.image() as image:
        raw = image.metadata_bytes(to.image_id(image))
    if json:
        show.json(decode(raw, dict[str, object], f"JSON of {location}"))
    elif sys.stdout.isatty():
        click.echo(printable(raw.decode(), limit=None))
    else:
        sys.stdout.buffer.write(raw)


@click.command()
@click.argument("location")
@as_json
@connects
def history(location: str, json: bool, **options: Any) -> None:
    """List the image and all it stands on, newest first: id, age and the command that made it."""
    summary, _ = _inspected(location, options)
    if json:
        show.json([{"id": one.id, "created": one.created, "command": one.command} for one in summary.layers])
        return
    show.table([(one.id, one.created or "", one.command) for one in summary.layers])


@click.command()
@click.argument("location")
@as_json
@connects
def layers(location: str, json: bool, **options: Any) -> None:
    """List the layers, newest first: id, size in bytes and checksum."""
    summary, _ = _inspected(location, options)
    if json:
        show.json([{"id": one.id, "size": one.size, "checksum": one.checksum} for one in summary.layers])
        return
    show.table([(one.id, _or_unknown(one.size), one.checksum or "unknown") for one in summary.layers])


@click.command()
@click.argument("location")
@as_json
@connects
def inspect(location: str, json: bool, **options: Any) -> None:
    """Sum an image up: platform, size, age, what it starts, and its layers."""
    summary, name = _inspected(location, options)
    if json:
        show.json({"name": name, "id": summary.id, "size": summary.size, "config": summary.config} | _layers(summary))
        return
    document = summary.config
    starts = document.config or V1Config()
    facts = [
        ("Name", name),
        ("Image id", summary.id),
        ("Created", document.created),
        ("Author", document.author),
        ("Platform", "/".join(part for part in (document.os, document.architecture) if part)),
        ("Size", f"{show.size(summary.size)} in {len(summary.layers)} layers"),
        ("User", starts.user),
        ("Directory", starts.working_dir),
        ("Entrypoint", _words(starts.entrypoint)),
        ("Command", _words(starts.cmd)),
        *(("Variable", variable) for variable in starts.env or ()),
        *(("Label", f"{key}={value}") for key, value in (starts.labels or {}).items()),
        *(("Port", port) for port in starts.exposed_ports or ()),
        *(("Volume", volume) for volume in starts.volumes or ()),
    ]
    show.table([(key, value) for key, value in facts if value])
    show.line("Layers, newest first")
    show.table([(f"  {one.id[:12]}", show.size(one.size), one.created or "", one.command) for one in summary.layers])


def _inspected(location: str, options: dict[str, Any]) -> tuple[ImageSummary, str]:
    to = Connection(location, options)
    with to.image() as image:
        return image.inspect(to.image_id(image)), image.name


def _layers(summary: ImageSummary) -> dict[str, object]:
    return {"layers": summary.layers}


def _words(words: list[str] | str | None) -> str:
    return " ".join(words) if isinstance(words, list) else words or ""


def _or_unknown(count: int | None) -> str:
    return "unknown" if count is None else str(count)
