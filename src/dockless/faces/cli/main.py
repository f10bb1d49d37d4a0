"""The entry: which verb lives where, and how a run ends.

Rules:
* Results, and only results, go to standard output; everything else to standard error.
* A verb's module is imported when the verb is called: the cold start is felt.
* An error is two lines, what failed and what to try; a traceback only with -vv. Exit codes are those of `model.errors`.
"""

import atexit
import gc
import importlib
import io
import os
import sys
from typing import NoReturn

import click

from dockless.model.errors import DocklessError, LocalFault
from dockless.model.printable import printable
from dockless.model.version import __version__

_VERBS = {
    "blob": "blob",
    "catalog": "registry",
    "config": "image",
    "copy": "copy",
    "delete": "manifest",
    "demo": "demo",
    "digest": "tag",
    "history": "image",
    "inspect": "image",
    "layers": "image",
    "manifest": "manifest",
    "ping": "registry",
    "pull": "copy",
    "push": "copy",
    "search": "registry",
    "serve": "server",
    "tag": "tag",
    "tags": "tag",
    "untag": "tag",
    "validate": "manifest",
}


VERBOSE = "dockless.verbose"  # where a run's context keeps how much it should say


class _Verbs(click.Group):
    def invoke(self, ctx: click.Context) -> object:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except DocklessError as error:
            _say(error, with_traceback=ctx.meta.get(VERBOSE, 0) > 1)
            raise click.exceptions.Exit(error.exit_code) from None
        except OSError as error:  # here, before click makes a 1 of a reader that left
            raise click.exceptions.Exit(_cannot_write(error)) from None
        return result

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _VERBS:
            return None
        verb: click.Command = getattr(importlib.import_module(f"dockless.faces.cli.{_VERBS[cmd_name]}"), cmd_name)
        return verb


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dockless")
def cli() -> None:
    """Container images in registries, without Docker.

    \b
    Places:
      [REGISTRY/]REPOSITORY[:TAG][@DIGEST]      a v2/OCI registry, Docker Hub when none is named
      oci:DIRECTORY[:TAG]                       an OCI image layout
      oci-archive:FILE[:TAG]                    the same in a tar
      docker-archive:FILE[:REFERENCE]           what `docker save` writes and `docker load` reads
      v1:[REGISTRY/]REPOSITORY[:TAG]            a Docker Registry v1; @IMAGE_ID for an image by id

    Loopback hosts are spoken to in plain HTTP, all others over TLS unless --plain-http is given.

    \b
    Exit codes: 0 done, 1 other failure, 2 usage, 3 not found, 4 not authorised or denied,
    5 content failed verification, 6 network or registry unavailable, 130 interrupted.
    """


def main() -> NoReturn:
    """Run the command line and end the process."""
    atexit.register(gc.freeze)  # or the end of the process looks through all that was imported: a tenth of a short run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of another alphabet is no reason to fail
    code = 1
    try:
        result = cli.main(prog_name="dockless", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except click.ClickException as error:
        verb = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "dockless"
        _say(LocalFault(error.format_message(), hint=f"{verb} --help"))
        code = error.exit_code
    except OSError as error:
        code = _cannot_write(error)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        code = 130
    sys.exit(code)


def _cannot_write(error: OSError) -> int:
    """Say so, unless it was the reader who left; return the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit complains again
    if isinstance(error, BrokenPipeError):
        return 141
    _say(LocalFault(f"cannot write {error.filename or 'the result'}: {error.strerror}"))
    return LocalFault.exit_code


def _say(error: DocklessError, *, with_traceback: bool = False) -> None:
    if with_traceback:
        import traceback

        for text in traceback.format_exception(error):  # the words of others stand in it as they came
            for line in text.rstrip("\n").split("\n"):
                click.echo(printable(line), err=True)
    click.echo(f"error: {printable(str(error))}", err=True)
    if error.hint:
        click.echo(f"try:   {printable(error.hint)}", err=True)
