"""Verbs about manifests: manifest, validate, delete."""

from typing import Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects, one_platform
from dockless.model.errors import VerificationFailed
from dockless.model.v1_documents import decode


@click.command()
@click.argument("location")
@one_platform
@as_json
@connects
def manifest(location: str, platform: str | None, json: bool, **options: Any) -> None:
    """Print the manifest or index, byte for byte as it is stored.

    With --json it is laid out, and what is not ASCII is escaped.
    """
    to = Connection(location, options)
    with to.client() as client:
        raw = client.manifest(to.location, platform).raw
    show.document(raw, decode(raw, dict[str, object], f"manifest of {to.location}") if json else None)


@click.command()
@click.argument("location")
@one_platform
@click.option("--fast", is_flag=True, help="Only ask whether everything is there, and read no blob.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=4, show_default=True, help="Blobs at once.")
@as_json
@connects
def validate(location: str, platform: str | None, fast: bool, jobs: int, json: bool, **options: Any) -> int:
    """Check every digest, size and diff id of an image.

    Of all that can be reached from LOCATION; the exit code is 5 when something is wrong.
    """
    to = Connection(location, options)
    if to.is_v1(platform):
        from dockless.faces.cli import v1

        if fast:
            raise click.UsageError("v1 tells of a layer only by giving it: leave out --fast")
        return v1.validate(to, jobs=jobs, json=json)
    with to.client() as client, to.show:
        report = client.validate(to.location, platform=platform, deep=not fast, jobs=jobs)
    if json:
        show.json(show.as_dict(report) | {"ok": report.ok})
    else:
        for one in report.findings:
            show.line(f"{one.path or 'root'}: {one.descriptor.digest}: {one.message}")
        counts = f"{show.count(report.manifests, 'manifest')} and {show.count(report.blobs, 'blob')}"
        counts += f", {show.size(report.bytes)}"
        show.line(f"{report.root.digest}: {counts}: {'all right' if report.ok else 'damaged'}")
    return 0 if report.ok else VerificationFailed.exit_code


@click.command()
@click.argument("location")
@as_json
@connects
def delete(location: str, json: bool, **options: Any) -> None:
    """Remove a manifest with every tag that names it, or a blob.

    LOCATION is PLACE@DIGEST; `dockless untag` removes a tag alone.
    """
    to = Connection(location, options)
    with to.client() as client:
        found = client.delete(to.location)
    show.descriptor(str(to.location), found, as_json=json)
