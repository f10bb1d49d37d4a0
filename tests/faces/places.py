"""An image for two platforms, in a place of every kind."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from dockless.faces.client import Client
from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.descriptor import Descriptor
from dockless.model.digest import digest_of
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.model.platform import parse_platform
from dockless.stores.base import Store
from dockless.stores.oci_layout import OciLayout
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.contract import put
from dockless.testing.images import make_image
from tests.graphs import document, index

KINDS = ("registry", "oci", "oci-archive", "docker-archive")
LAYERS = tuple(image.layer for image in reversed(make_image({"a": b"1"}, {"b": b"22"})))
CREATED = "2020-02-02T02:02:02Z"
STARTS: Mapping[str, Any] = {
    "User": "nobody",
    "WorkingDir": "/srv",
    "Entrypoint": ["/bin/serve"],
    "Cmd": ["--all"],
    "Env": ["A=1"],
    "Labels": {"org.example.team": "shop"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/data": {}},
}


def image(store: Store, platform: str, *layers: bytes, **config: Any) -> Descriptor:
    """Put an image into a store; it is what its config says."""
    wanted = parse_platform(platform)
    body = {
        **msgspec.to_builtins(wanted),
        "created": CREATED,
        "author": "A. Author",
        "config": STARTS,
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": [
            *({"created": CREATED, "created_by": f"COPY {number} /"} for number, _ in enumerate(layers)),
            {"created": CREATED, "created_by": "CMD --all", "empty_layer": True},
        ],
        **config,
    }
    held = put(store, msgspec.json.encode(body), OCI_CONFIG)
    found = document(store, OCI_MANIFEST, config=held, layers=[put(store, layer, OCI_LAYER) for layer in layers])
    return msgspec.structs.replace(found, platform=wanted)


def shop(store: Store, tag: str = "1.0") -> Descriptor:
    """Put an image for two platforms into a store, which have a layer in common, and tag it."""
    both = index(store, image(store, "linux/amd64", *LAYERS), image(store, "linux/arm64", LAYERS[0]))
    store.tag(both, tag)
    return both


def layout(path: Path) -> str:
    """Return the location of a new layout with the image in it."""
    shop(OciLayout(path))
    return f"oci:{path}"


@contextmanager
def place(kind: str, root: Path) -> Iterator[str]:
    """Yield the location of a place with the image in it; `:1.0` or, in an archive of Docker, `:shop:1.0` names it."""
    source = layout(root / "layout")
    if kind == "oci":
        yield source
        return
    with EmbeddedRegistry(MemoryRepositories()) as registry, Client() as client:
        where = f"{registry.host}/team/shop" if kind == "registry" else f"{kind}:{root / 'shop.tar'}"
        client.copy(f"{source}:1.0", where + named(kind))
        yield where


def named(kind: str) -> str:
    """Return what is put behind a place of that kind to name the image."""
    return ":shop:1.0" if kind == "docker-archive" else ":1.0"
