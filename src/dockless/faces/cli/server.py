"""Verb that serves: serve."""

from pathlib import Path

import click

from dockless.model.errors import Unsupported


@click.command()
@click.argument("directory", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:5000", show_default=True, help="Port 0 is any.")
@click.option("--token", "tokens", is_flag=True, help="Demand, beyond the index, the token that the index gave.")
@click.option(
    "--endpoint",
    "endpoints",
    metavar="HOST:PORT",
    multiple=True,
    help="What the index names as endpoint; several in turn, a dead one to try fail-over. Default: this server.",
)
@click.option("--basic", metavar="NAME:PASSWORD", help="Demand these credentials; for tests, others can see them.")
@click.option("--tls", nargs=2, metavar="CERT KEY", help="Serve HTTPS with this certificate chain and key (PEM).")
def serve(
    *,
    directory: Path,
    listen: str,
    tokens: bool,
    endpoints: tuple[str, ...],
    basic: str | None,
    tls: tuple[str, str] | None,
) -> None:
    """Serve the images in DIRECTORY, laid out as `dockless pull` leaves them, as a Docker Registry v1 to read from.

    It is meant for this machine: it listens on the loopback unless told otherwise. Ctrl-C ends it.
    """
    try:
        from dockless.faces.server.app import serve as serve_images
        from dockless.faces.server.v1 import V1Options
    except ImportError as error:
        raise Unsupported(f"the embedded registry needs {error.name}", hint="pip install 'dockless[server]'") from error
    from dockless.stores.v1_directory import V1Directory

    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter("HOST:PORT is wanted", param_hint="--listen")
    credentials = tuple(basic.split(":", 1)) if basic is not None else None
    if credentials is not None and len(credentials) != 2:
        raise click.BadParameter("NAME:PASSWORD is wanted", param_hint="--basic")
    serve_images(
        V1Directory(directory),
        host.strip("[]"),
        int(port),
        V1Options(tokens=tokens, endpoints=endpoints, credentials=credentials),
        lambda url: click.echo(f"serving {directory} at {url} (Ctrl-C ends)", err=True),
        tls=tls,
    )
