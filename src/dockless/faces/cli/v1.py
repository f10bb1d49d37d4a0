"""How verbs answer for `v1:` locations: a Docker Registry v1 has image ids where others have digests."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection
from dockless.model.errors import InvalidDocument, InvalidReference, NotFound, VerificationFailed
from dockless.model.v1_documents import V1Config, V1ImageConfig, decode, image_config

if TYPE_CHECKING:
    from dockless.faces.v1 import Image
    from dockless.ops.inspect_v1 import ImageSummary


def tags(to: Connection, *, long: bool, json: bool) -> None:
    """List the tags, with their ids in JSON and in the long form."""
    with to.image() as image:
        ids = image.tag_ids()
        if json:
            show.json({"name": image.name, "tags": ids})
        elif long:
            rows = ((tag, image_id, _created(image, image_id) or "-") for tag, image_id in sorted(ids.items()))
            show.table_as_it_comes(rows)
        else:
            for tag in sorted(ids):
                show.line(tag)


def digest(to: Connection, *, json: bool) -> None:
    """Print the image id."""
    with to.image() as image:
        image_id = to.image_id(image)
        if json:
            show.json({"name": image.name, "tag": None if to.v1.image_id else to.tag, "id": image_id})
        else:
            show.line(image_id)


def config(to: Connection, *, json: bool) -> None:
    """Print the image's JSON, byte for byte as it was pushed."""
    with to.image() as image:
        raw = image.metadata_bytes(to.image_id(image))
    show.document(raw, decode(raw, dict[str, object], f"JSON of {to.location}") if json else None)


def history(to: Connection, *, json: bool) -> None:
    """List the image and all it stands on."""
    summary, _ = _inspected(to)
    if json:
        show.json([{"id": one.id, "created": one.created, "command": one.command} for one in summary.layers])
        return
    show.table([(one.id, one.created or "", one.command) for one in summary.layers])


def layers(to: Connection, *, json: bool) -> None:
    """List the layers with size and checksum."""
    summary, _ = _inspected(to)
    if json:
        show.json([{"id": one.id, "size": one.size, "checksum": one.checksum} for one in summary.layers])
        return
    show.table([(one.id, _or_unknown(one.size), one.checksum or "unknown") for one in summary.layers])


def inspect(to: Connection, *, json: bool) -> None:
    """Sum an image up."""
    summary, name = _inspected(to)
    if json:
        facts = {"name": name, "id": summary.id, "size": summary.size, "config": summary.config}
        show.json(facts | {"layers": summary.layers})
        return
    document = summary.config
    starts = document.config or V1Config()
    show.facts(
        ("Name", name),
        ("Image id", summary.id),
        ("Created", document.created),
        ("Author", document.author),
        ("Platform", "/".join(part for part in (document.os, document.architecture) if part)),
        ("Size", f"{show.size(summary.size)} in {show.count(len(summary.layers), 'layer')}"),
        *show.starts(starts),
    )
    show.line("Layers, newest first")
    show.table([(f"  {one.id[:12]}", show.size(one.size), one.created or "", one.command) for one in summary.layers])


def blob(to: Connection, output: str) -> None:
    """Fetch one layer, checked."""
    import shutil

    with to.image() as image, to.show:
        image_id = to.image_id(image)
        if output != "-":
            image.download(image_id, output)
            return
        with image.layer_reader(image_id) as layer:
            shutil.copyfileobj(layer, sys.stdout.buffer, 1 << 18)


def validate(to: Connection, *, jobs: int, json: bool) -> int:
    """Read every layer through its checksum; return the exit code."""
    with to.image() as image, to.show:
        image_id = to.image_id(image)
        checked = image.validate(image_id, jobs)
    if json:
        show.json({"name": image.name, "id": image_id, "ok": checked.ok} | show.as_dict(checked))
    else:
        for one in checked.layers:
            if one.error or not one.verified:
                show.line(f"{one.id}: {one.error or 'the registry gave no checksum to compare'}")
        counts = f"{show.count(len(checked.layers), 'layer')}, {show.size(sum(one.size for one in checked.layers))}"
        show.line(f"{image_id}: {counts}: {'all right' if checked.ok else 'damaged'}")
    return 0 if checked.ok else VerificationFailed.exit_code


def pull(to: Connection, directory: Path, *, json: bool, options: dict[str, Any]) -> None:
    """Fetch an image into a directory laid out as `docker save` first did."""
    if directory.exists() and not directory.is_dir():
        raise click.UsageError(f"{directory} is a file")
    if options["platform"] or options["referrers"] or options["no_clobber"] or options["dry_run"]:
        raise click.UsageError("into a directory of v1 an image is pulled as it is: write oci:… for that")
    with to.image() as image, to.show:
        tag = None if to.v1.image_id else to.tag
        pulled = image.download_by_id(to.image_id(image), directory, tag=tag, jobs=options["jobs"])
    there = f"; {len(pulled.present)} there already" if pulled.present else ""
    to.show.sum_up(f"copied {show.count(len(pulled.ids) - len(pulled.present), 'layer')}{there}")
    if json:
        facts = {"directory": str(directory), "id": pulled.ids[0], "layers": pulled.ids}
        show.json(facts | {"unverified": pulled.unverified})
    else:
        show.line(pulled.ids[0])


def _created(image: "Image", image_id: str) -> str | None:
    """Return when an image was made, None when it does not say or is not there."""
    try:
        return image_config(image.metadata_bytes(image_id), V1ImageConfig, f"JSON of image {image_id}").created
    except (InvalidDocument, InvalidReference, NotFound):
        return None


def _inspected(to: Connection) -> tuple["ImageSummary", str]:
    with to.image() as image:
        return image.inspect(to.image_id(image)), image.name


def _or_unknown(count: int | None) -> str:
    return "unknown" if count is None else str(count)
