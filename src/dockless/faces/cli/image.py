"""Verbs about an image: config, history, layers, inspect."""

from typing import TYPE_CHECKING, Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects, one_platform
from dockless.model.errors import Unsupported
from dockless.model.v1_documents import decode

if TYPE_CHECKING:
    from dockless.ops.image import Image, ImageSummary


@click.command()
@click.argument("location")
@one_platform
@as_json
@connects
def config(location: str, platform: str | None, json: bool, **options: Any) -> None:
    """Print the image's config, byte for byte as it is stored.

    With --json it is laid out, and what is not ASCII is escaped.
    """
    to = Connection(location, options)
    if to.is_v1(platform):
        from dockless.faces.cli import v1

        v1.config(to, json=json)
        return
    found = _image(to, platform).config
    if found is None:
        raise Unsupported(f"{location} is an artifact and has no image's config", hint="`dockless manifest` prints it.")
    show.document(found.raw, decode(found.raw, dict[str, object], f"config of {location}") if json else None)


@click.command()
@click.argument("location")
@one_platform
@as_json
@connects
def history(location: str, platform: str | None, json: bool, **options: Any) -> None:
    """List the steps that made the image, newest first.

    Each with its date and command, for v1 with its id, too.
    """
    to = Connection(location, options)
    if to.is_v1(platform):
        from dockless.faces.cli import v1

        v1.history(to, json=json)
        return
    steps = list(reversed(_image(to, platform).history))
    if json:
        show.json(
            [{"created": one.created, "command": one.created_by, "empty_layer": one.empty_layer} for one in steps]
        )
        return
    show.table([(one.created or "", one.created_by or one.comment or "") for one in steps])


@click.command()
@click.argument("location")
@one_platform
@as_json
@connects
def layers(location: str, platform: str | None, json: bool, **options: Any) -> None:
    """List the layers of an image.

    Base first, with digest, size in bytes and media type; for v1 newest first, with id, size and checksum.
    """
    to = Connection(location, options)
    if to.is_v1(platform):
        from dockless.faces.cli import v1

        v1.layers(to, json=json)
        return
    found = [(one.descriptor, one.diff_id) for one in _image(to, platform).layers]
    if json:
        show.json(
            [
                {"digest": one.digest, "size": one.size, "media_type": one.media_type, "diff_id": diff_id}
                for one, diff_id in found
            ]
        )
        return
    show.table([(one.digest, str(one.size), one.media_type) for one, _ in found])


@click.command()
@click.argument("location")
@one_platform
@as_json
@connects
def inspect(location: str, platform: str | None, json: bool, **options: Any) -> None:
    """Sum an image up.

    Its platforms, sizes and date, what it starts, and its layers with the command that made each.
    """
    to = Connection(location, options)
    if to.is_v1(platform):
        from dockless.faces.cli import v1

        v1.inspect(to, json=json)
        return
    with to.client() as client:
        found = client.inspect(to.location, platform)
    if json:
        show.json({"location": str(to.location)} | show.as_dict(found))
    else:
        _show(str(to.location), found)


def _image(to: Connection, platform: str | None) -> "Image":
    with to.client() as client:
        return client.image(to.location, platform)


def _show(location: str, found: "ImageSummary") -> None:
    show.facts(
        ("Name", location),
        ("Digest", found.digest),
        ("Media type", found.media_type),
        ("Artifact type", found.artifact_type),
        ("Created", found.created),
        ("Author", found.author),
        ("Platform", found.platform),
        ("Manifest", found.manifest if found.manifest != found.digest else None),
        ("Size", f"{show.size(found.size)} in {show.count(len(found.layers), 'layer')}"),
        ("User", found.user),
        ("Directory", found.workdir),
        ("Entrypoint", " ".join(found.entrypoint or ())),
        ("Command", " ".join(found.cmd or ())),
        *(("Variable", variable) for variable in found.env or ()),
        *(("Label", f"{key}={value}") for key, value in (found.labels or {}).items()),
        *(("Annotation", f"{key}={value}") for key, value in found.annotations.items()),
        *(("Port", port) for port in found.ports or ()),
        *(("Volume", volume) for volume in found.volumes or ()),
    )
    if len(found.platforms) > 1:
        show.line("Platforms")
        show.table([(f"  {one.platform}", show.size(one.size), one.digest) for one in found.platforms])
    if found.layers:
        show.line("Layers, base first")
        show.table(
            [
                (f"  {show.short(one.digest)}", show.size(one.size), one.created or "", one.command or "")
                for one in found.layers
            ]
        )
