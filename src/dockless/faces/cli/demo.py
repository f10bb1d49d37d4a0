"""Verb that shows the main job on registries of its own: demo."""

import os
import tempfile
from functools import partial
from pathlib import Path

import click

from dockless.faces.cli.main import cli
from dockless.model.errors import Unsupported
from dockless.stores.base import V1Image
from dockless.stores.repositories import LayoutRoot
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import demo_images
from dockless.wire.stream import BytesReader


@click.command()
def demo() -> None:
    """Show it at work, on registries that it brings along.

    An old one with a small image, a new one to move it to, and the verbs over real HTTP.
    """
    try:
        from dockless.faces.server.app import EmbeddedRegistry
    except ImportError as error:
        raise Unsupported(f"the demo needs {error.name}", hint="pip install 'dockless[server]'") from error
    with tempfile.TemporaryDirectory(prefix="dockless-demo-") as name:
        root = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")  # nothing of the demo stays
        with EmbeddedRegistry(_old(root / "old")) as old, EmbeddedRegistry(LayoutRoot(root / "new")) as new:
            click.echo(f"A registry that speaks v1 is up at {old.url}, with one image in it.")
            _read_v1(f"v1:{old.host}", root / "demo")
            click.echo(f"\nA registry that speaks v2 is up at {new.url}, with nothing in it: the image moves there.")
            _move(f"v1:{old.host}/library/demo:1.0", new.host, root / "layout")
    click.echo(
        "\nEvery layer was compared with a checksum or a digest. The registries are gone again; next:\n\n"
        "  dockless copy v1:OLD-REGISTRY/NAME:TAG REGISTRY/NAME:TAG   leave a v1 registry\n"
        "  dockless pull REGISTRY/NAME:TAG                            take an image home, as an OCI layout\n"
        "  dockless serve DIRECTORY                                   serve layouts as a registry\n"
        "  dockless --help                                            the rest"
    )


def _read_v1(registry: str, directory: Path) -> None:
    place = f"{registry}/library/demo"
    _show("ping", registry)
    _show("search", registry, "demo")
    _show("tags", place)
    _show("digest", f"{place}:1.0")
    _show("inspect", f"{place}:1.0")
    _show("history", f"{place}:1.0")
    _show("pull", f"{place}:1.0", str(directory))
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            click.echo(f"{path.stat().st_size:>8}  {path.relative_to(directory.parent)}")


def _move(image: str, host: str, layout: Path) -> None:
    _show("copy", image, f"{host}/library/demo:1.0")
    _show("inspect", f"{host}/library/demo:1.0")
    _show("copy", f"{host}/library/demo:1.0", f"{host}/mirror/demo:1.0")
    _show("pull", f"{host}/mirror/demo:1.0", f"oci:{layout}:1.0")
    _show("push", f"oci:{layout}:1.0", f"{host}/team/demo:2.0")
    _show("tags", "--long", f"{host}/team/demo")
    _show("validate", f"oci:{layout}:1.0")


def _old(directory: Path) -> V1Directory:
    images = demo_images()
    store = V1Directory(directory)
    for image in images:
        whole = V1Image(image.id, image.raw, len(image.layer), image.checksum)
        store.add(whole, partial(BytesReader, image.layer))
    for tag in ("1.0", "latest"):
        store.tag("library/demo", tag, images[0].id)
    return store


def _show(*arguments: str) -> None:
    click.secho(f"\n$ dockless {' '.join(arguments)}", bold=True)
    code = cli.main(list(arguments), standalone_mode=False)
    if code:
        raise click.exceptions.Exit(code)
