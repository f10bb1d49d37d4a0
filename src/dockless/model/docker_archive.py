"""The documents of what `docker save` writes: `manifest.json`, and the names in an `index.json` beside it.

Rules:
* `manifest.json` lists images: the path of a config, those of the layers (base first) and the names, `RepoTags`.
* Names are references and compared in full: `alpine` is `docker.io/library/alpine:latest`. What is no reference stays
  as it is and is compared letter by letter.
* In an `index.json` of Docker, `io.containerd.image.name` is the name and `org.opencontainers.image.ref.name` only its
  tag, which several images may share. In memory the name in full is the tag; it is written the way Docker does.
"""

from collections.abc import Callable

import msgspec

from dockless.model.documents import Manifest
from dockless.model.errors import InvalidDocument, InvalidReference
from dockless.model.layout_index import FULL_NAME, INDEX_FILE_NAME, REF_NAME, LayoutIndex, parse_layout_index
from dockless.model.media_types import CONFIGS
from dockless.model.reference import parse_reference, split_registry, split_tag
from dockless.model.v1_documents import decode

IMAGES_FILE_NAME = "manifest.json"
OLD_FILE_NAME = "repositories"  # all there was before Docker 1.10

_MOST_PATHS = 50_000
_LAYERS = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")


class SavedImage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One image of `manifest.json`; its config and layers are paths in the archive."""

    config: str
    repo_tags: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None


def parse_saved_images(raw: bytes, what: str) -> tuple[SavedImage, ...]:
    """Read a `manifest.json`; `what` names it in the error. Raises InvalidDocument."""
    images = decode(raw, tuple[SavedImage, ...], what)
    count = sum(1 + len(image.layers or ()) + len(image.repo_tags or ()) for image in images)
    if count > _MOST_PATHS:
        raise InvalidDocument(f"{what} has {count} images, layers and names, more than {_MOST_PATHS}")
    return images


def make_saved_images(images: list[SavedImage]) -> bytes:
    """Return a `manifest.json`."""
    return msgspec.json.encode(images)


def full_name(name: str) -> str:
    """Return a name in full, by Docker Hub's rules."""
    try:
        return str(parse_reference(name))
    except InvalidReference:
        return name


def read_names(raw: bytes, what: str) -> LayoutIndex:
    """Read an `index.json` beside a `manifest.json`; its tags are names in full. Raises InvalidDocument."""

    def rename(annotations: dict[str, str]) -> None:
        if FULL_NAME in annotations:
            annotations[REF_NAME] = full_name(annotations.pop(FULL_NAME))

    return _renamed(parse_layout_index(raw, what), rename)


def write_names(index: LayoutIndex) -> bytes:
    """Return the `index.json` of an index whose tags are names in full. Raises Unsupported when it is too long."""

    def rename(annotations: dict[str, str]) -> None:
        name = annotations.get(REF_NAME, "")
        tag = split_tag(split_registry(name)[1])[1]
        if tag:
            annotations.update({FULL_NAME: name, REF_NAME: tag})

    return _renamed(index, rename).raw


def _renamed(index: LayoutIndex, rename: Callable[[dict[str, str]], None]) -> LayoutIndex:
    body = msgspec.json.decode(index.raw)
    for entry in body["manifests"]:
        rename(entry.get("annotations") or {})
    return parse_layout_index(msgspec.json.encode(body), INDEX_FILE_NAME)


def is_image(manifest: Manifest) -> bool:
    """Say whether a manifest is that of an image that Docker can run, and not of an artifact."""
    return manifest.config.media_type in CONFIGS and all(
        layer.media_type.startswith(_LAYERS) for layer in manifest.layers
    )
