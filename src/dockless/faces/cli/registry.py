"""Verbs about a registry: ping, search."""

from typing import Any

import click

from dockless.faces import v1
from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects


@click.command()
@click.argument("registry")
@as_json
@connects
def ping(registry: str, json: bool, **options: Any) -> None:
    """Say how REGISTRY presents itself (v1:HOST[:PORT])."""
    to = Connection(_v1(registry), options)
    answer = v1.ping(to.url, credential=to.credential, settings=to.settings, observe=to.show.observe)
    if json:
        show.json({"registry": to.location.registry, "v1": answer})
        return
    role = "mirror" if answer.mirror else "standalone" if answer.standalone else "behind an index"
    show.line(f"{to.location.registry} speaks v1, {role}, version {answer.version or 'not said'}")


@click.command()
@click.argument("registry")
@click.argument("query", default="")
@as_json
@connects
def search(registry: str, query: str, json: bool, **options: Any) -> None:
    """List the repositories of REGISTRY whose name holds QUERY, all pages."""
    to = Connection(_v1(registry), options)
    found = v1.search(query, to.url, credential=to.credential, settings=to.settings, observe=to.show.observe)
    if json:
        show.json(list(found))
        return
    for result in found:
        show.line(f"{result.name}  {result.description}" if result.description else result.name)


def _v1(registry: str) -> str:
    host = registry.removeprefix("v1:")
    return f"v1:{host}" if "/" in host or not host else f"v1:{host}/"
