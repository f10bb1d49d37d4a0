"""Verb that serves: serve."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dockless.model.errors import Unsupported

if TYPE_CHECKING:
    from dockless.stores.base import Repositories, V1Repositories


@click.command()
@click.argument("directory", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:5000", show_default=True, help="Port 0 is any.")
@click.option("--memory", is_flag=True, help="Keep everything in memory, and nothing of it once it ends.")
@click.option("--read-only", is_flag=True, help="Take nothing in and delete nothing.")
@click.option(
    "--max-blob",
    metavar="MIB",
    type=click.IntRange(min=1),
    default=16384,
    show_default=True,
    help="The longest blob that is taken.",
)
@click.option("--token", "tokens", is_flag=True, help="v1: demand, beyond the index, the token that the index gave.")
@click.option(
    "--endpoint",
    "endpoints",
    metavar="HOST:PORT",
    multiple=True,
    help="v1: what the index names as endpoint; several in turn, a dead one to try fail-over. Default: this server.",
)
@click.option("--basic", metavar="NAME:PASSWORD", help="Demand these credentials; for tests, others can see them.")
@click.option("--tls", nargs=2, metavar="CERT KEY", help="Serve HTTPS with this certificate chain and key (PEM).")
def serve(
    *,
    directory: Path,
    listen: str,
    memory: bool,
    read_only: bool,
    max_blob: int,
    tokens: bool,
    endpoints: tuple[str, ...],
    basic: str | None,
    tls: tuple[str, str] | None,
) -> None:
    """Serve OCI layouts as a registry to read from and write to.

    The layout DIRECTORY/NAME is the repository NAME, and what is pushed becomes one. v1 is spoken, too, to read the
    same images. A directory of v1 images, as `dockless pull v1:… DIRECTORY` leaves one, is served over v1 alone.

    It is meant for this machine: it listens on the loopback unless told otherwise. Ctrl-C ends it.
    """
    try:
        from dockless.faces.server.app import serve as serve_images
        from dockless.faces.server.v1 import V1Options
        from dockless.faces.server.v2 import V2Options
    except ImportError as error:
        raise Unsupported(f"the embedded registry needs {error.name}", hint="pip install 'dockless[server]'") from error

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("HOST:PORT is wanted", param_hint="--listen")
    credentials = tuple(basic.split(":", 1)) if basic is not None else None
    if credentials is not None and len(credentials) != 2:
        raise click.BadParameter("NAME:PASSWORD is wanted", param_hint="--basic")
    what = "what is pushed" if memory else directory
    serve_images(
        _content(directory, memory),
        host.strip("[]"),
        int(port),
        V1Options(tokens=tokens, endpoints=endpoints, credentials=credentials),
        lambda url: click.echo(f"serving {what} at {url} (Ctrl-C ends)", err=True),
        v2=V2Options(read_only=read_only, longest_blob=max_blob << 20),
        tls=tls,
    )


def _content(directory: Path, memory: bool) -> "Repositories | V1Repositories":
    from dockless.stores.repositories import LayoutRoot, MemoryRepositories
    from dockless.stores.v1_directory import V1Directory

    if memory:
        return MemoryRepositories()
    if (directory / "repositories").is_file():
        return V1Directory(directory)
    if (directory / "oci-layout").is_file():
        raise Unsupported(f"{directory} is one layout", hint="Name the directory above it, which holds repositories.")
    return LayoutRoot(directory)
