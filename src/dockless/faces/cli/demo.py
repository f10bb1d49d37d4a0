"""Verb that shows the main job on a registry of its own: demo."""

import tempfile
from functools import partial
from pathlib import Path

import click

from dockless.faces.cli.main import cli
from dockless.model.errors import Unsupported
from dockless.stores.base import V1Image
from dockless.stores.v1_directory import V1Directory
from dockless.testing.images import demo_images
from dockless.wire.stream import BytesReader


@click.command()
def demo() -> None:
    """Show it at work: a registry with a small image made on the spot, and the verbs against it over real HTTP."""
    try:
        from dockless.faces.server.app import EmbeddedRegistry
    except ImportError as error:
        raise Unsupported(f"the demo needs {error.name}", hint="pip install 'dockless[server]'") from error
    with tempfile.TemporaryDirectory(prefix="dockless-demo-") as name:
        root = Path(name)
        with EmbeddedRegistry(_registry(root / "registry")) as registry:
            click.echo(f"A registry that speaks v1 is up at {registry.url}, with one image in it.")
            place = f"v1:{registry.host}/library/demo"
            _show("ping", f"v1:{registry.host}")
            _show("search", f"v1:{registry.host}", "demo")
            _show("tags", place)
            _show("digest", f"{place}:1.0")
            _show("inspect", f"{place}:1.0")
            _show("history", f"{place}:1.0")
            _show("pull", f"{place}:1.0", str(root / "demo"))
        for path in sorted((root / "demo").rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                click.echo(f"{path.stat().st_size:>8}  {path.relative_to(root)}")
    click.echo(
        "\nEvery layer was compared with the registry's checksum. The registry is gone again; next:\n\n"
        "  dockless tags v1:YOUR-REGISTRY/NAMESPACE/NAME       what a v1 registry of yours has\n"
        "  dockless pull v1:YOUR-REGISTRY/NAMESPACE/NAME:TAG   take an image home\n"
        "  dockless serve DIRECTORY                            serve what was pulled\n"
        "  dockless --help                                     the rest"
    )


def _registry(directory: Path) -> V1Directory:
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
