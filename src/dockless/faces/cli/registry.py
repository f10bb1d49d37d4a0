"""Verbs about a registry: ping, search, catalog."""

from typing import Any

import click

from dockless.faces.cli import show
from dockless.faces.cli.options import Connection, as_json, connects
from dockless.faces.named import parse_registry


@click.command()
@click.argument("registry")
@as_json
@connects
def ping(registry: str, json: bool, **options: Any) -> None:
    """Say which protocols a registry speaks.

    REGISTRY is HOST[:PORT]; v1:HOST asks for v1 alone.
    """
    with Connection(parse_registry(registry), options).client() as client:
        found = client.ping(registry)
    if json:
        show.json(found)
        return
    if found.v2 is not None:
        show.line(f"{found.registry} speaks v2, {_authorization(found.v2.schemes)}")
    if found.v1 is not None:
        role = "mirror" if found.v1.mirror else "standalone" if found.v1.standalone else "behind an index"
        show.line(f"{found.registry} speaks v1, {role}, version {found.v1.version or 'not said'}")


@click.command()
@click.argument("registry")
@click.argument("query", default="")
@as_json
@connects
def search(registry: str, query: str, json: bool, **options: Any) -> None:
    """List the repositories of a v1 registry.

    Those whose name holds QUERY, all pages; without QUERY all of them.
    """
    from dockless.faces import v1

    to = Connection(parse_registry(registry), options)
    found = v1.search(query, to.url, credential=to.credential, settings=to.settings, observe=to.show.observe)
    if json:
        show.json(list(found))
        return
    for result in found:
        show.line(f"{result.name}  {result.description}" if result.description else result.name)


@click.command()
@click.argument("registry")
@as_json
@connects
def catalog(registry: str, json: bool, **options: Any) -> None:
    """List the repositories of a registry.

    REGISTRY is HOST[:PORT]; of v1:HOST these are what a search for everything finds.
    """
    with Connection(parse_registry(registry), options).client() as client:
        names = client.catalog(registry)
        if json:
            show.json({"registry": registry, "repositories": list(names)})
            return
        for name in names:
            show.line(name)


def _authorization(schemes: tuple[str, ...]) -> str:
    return f"authorization: {', '.join(schemes)}" if schemes else "open to all"
