"""An image's config as a typed view that keeps its raw bytes (OCI image-spec, config.md).

It holds what the image runs on, what a container of it starts with, the digests of its unpacked layers (`diff_ids`) and
how each was made.
"""

import msgspec

from dockless.model.platform import Platform
from dockless.model.v1_documents import V1Config, decode


class History(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one layer was made; `empty_layer`: the step changed no files and there is no layer for it."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


class RootFS(msgspec.Struct, frozen=True, kw_only=True):
    """The digests of the layers as tars, unpacked, base first."""

    type: str = "layers"
    diff_ids: tuple[str, ...] | None = ()  # None: some builders write null for an image without layers


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """An image's config. `raw` holds the bytes it was read from."""

    architecture: str = ""
    os: str = ""
    os_version: str | None = msgspec.field(default=None, name="os.version")
    variant: str | None = None
    created: str | None = None
    author: str | None = None
    config: V1Config | None = None
    rootfs: RootFS = RootFS()
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return Platform(os=self.os, architecture=self.architecture, variant=self.variant, os_version=self.os_version)

    @property
    def raw(self) -> bytes:
        """The document as it is stored; empty for one that was not read."""
        raw: bytes = self.__dict__.get("raw", b"")
        return raw


def parse_image_config(raw: bytes, what: str) -> ImageConfig:
    """Read an image's config; `what` names it in the error. Raises InvalidDocument."""
    config = decode(raw, ImageConfig, what)
    config.__dict__["raw"] = raw
    return config
