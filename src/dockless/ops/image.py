"""An image as a typed view, and the summary of it that people read.

Rules:
* What a name names may be an index; without a platform the image for Linux on this machine's processor is taken, else
  the first there is. The view says which it was.
* A manifest whose config is not an image's is an artifact: it has no config here, and no field is made up for it.
* Attestations are no platforms. Sizes are of what a pull moves: config and layers as they are stored, each once.
"""

import platform as machine
from functools import partial
from itertools import chain

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.documents import Manifest
from dockless.model.errors import (
    DocklessError,
    InvalidDocument,
    NotFound,
    RateLimited,
    RemoteFault,
    Unsupported,
    VerificationFailed,
)
from dockless.model.image_config import History, ImageConfig
from dockless.model.media_types import MANIFESTS, SCHEMA1
from dockless.model.platform import Platform, parse_platform
from dockless.model.printable import printable
from dockless.model.v1_documents import V1Config
from dockless.net.waiting import each, off_main
from dockless.ops.contents import Contents, config_of, manifests
from dockless.ops.platforms import Images, images, pick
from dockless.stores.base import NamedFetcher, Readable


class ImageLayer(msgspec.Struct, frozen=True):
    """A layer, the digest of the tar in it, and how it was made; None where the config does not say."""

    descriptor: Descriptor
    diff_id: str | None = None
    history: History | None = None


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image, or an artifact, whose `config` and `platform` are None.

    `root` is what `name` names: an index, or the manifest itself. `platforms` are the images at and below it; layers
    come base first.
    """

    name: str
    root: Descriptor
    manifest: Manifest
    config: ImageConfig | None
    platform: Platform | None
    platforms: tuple[tuple[Descriptor, Platform], ...]
    layers: tuple[ImageLayer, ...]

    @property
    def descriptor(self) -> Descriptor:
        """The manifest's descriptor."""
        return self.manifest.descriptor

    @property
    def raw(self) -> bytes:
        """The manifest as it is stored; the config's bytes are in `config.raw`."""
        return self.manifest.raw

    @property
    def history(self) -> tuple[History, ...]:
        """Every step that made the image, base first."""
        return (self.config.history if self.config else None) or ()

    @property
    def size(self) -> int:
        """The bytes of config and layers as they are stored."""
        return size_of(self.manifest)


class PlatformSummary(msgspec.Struct, frozen=True):
    """One image of an index: its manifest's digest, and the bytes of config and layers, None if it is not here."""

    platform: str
    digest: Digest
    size: int | None


class LayerSummary(msgspec.Struct, frozen=True):
    """One layer: its digest and size in bytes as stored, the digest of its tar, and when and how it was made."""

    digest: Digest
    media_type: str
    size: int
    diff_id: str | None
    created: str | None
    command: str | None


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know about an image without its layers' bytes; layers come base first.

    `digest` and `media_type` are those of what `name` names. From `platform` on it is about one image, whose manifest
    is `manifest`. An artifact has an `artifact_type` and None for all that an image's config would say.
    `msgspec.to_builtins` gives it as JSON has it.
    """

    name: str
    digest: Digest
    media_type: str
    artifact_type: str | None
    platforms: tuple[PlatformSummary, ...]
    platform: str | None
    manifest: Digest
    size: int
    created: str | None = None
    author: str | None = None
    labels: dict[str, str] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    user: str | None = None
    workdir: str | None = None
    ports: tuple[str, ...] | None = None
    volumes: tuple[str, ...] | None = None
    annotations: dict[str, str]
    layers: tuple[LayerSummary, ...]


def open_image(source: Readable, name: str, platform: Platform | None = None) -> Image:
    """Return the image that a tag or digest names, or the one of it for a platform.

    Raises NotFound for a name or a platform that is not there, Unsupported for what is no manifest, InvalidDocument,
    VerificationFailed and what the source raises.
    """

    def run() -> Image:
        contents, root = find(source, name)
        return view(contents, name, root, platform)

    return off_main(run)


def inspect(source: Readable, name: str, platform: Platform | None = None, *, jobs: int = 8) -> ImageSummary:
    """Return the summary of what a tag or digest names, `jobs` questions at once. Raises as `open_image`."""

    def run() -> ImageSummary:
        contents, root = find(source, name)
        image = view(contents, name, root, platform)
        return _summary(image, _platforms(contents, image, jobs))

    return off_main(run)


def find(source: Readable, name: str) -> tuple[Contents, Descriptor]:
    """Return what a name names, and the contents to read it from, in one trip where the source can. Raises NotFound."""
    contents = Contents(source)
    if not isinstance(source, NamedFetcher):
        return contents, source.resolve(name)
    root, raw = source.fetch_named(name)
    contents.keep(root, raw)
    return contents, root


def view(contents: Contents, name: str, root: Descriptor, platform: Platform | None) -> Image:
    """Return the image at or below `root`. Raises as `open_image`."""
    there = images(contents, root)
    chosen = _chosen(contents, root, there, platform)
    manifest = contents.document(chosen) if chosen.media_type in MANIFESTS else None
    if not isinstance(manifest, Manifest):
        raise _no_manifest(name, root)
    config = config_of(contents, manifest)
    return Image(
        name=name,
        root=root,
        manifest=manifest,
        config=config,
        platform=next((one for image, one in there if image == chosen), None),
        platforms=tuple(there),
        layers=_layers(manifest, config),
    )


def size_of(manifest: Manifest) -> int:
    """Return the bytes of config and layers as they are stored, each once."""
    return sum({one.digest: one.size for one in manifest.successors}.values())


def is_of_content(error: DocklessError) -> bool:
    """Say whether an error is of some content alone, so that asking for other content makes sense."""
    kinds = (NotFound, InvalidDocument, VerificationFailed, Unsupported, RemoteFault)
    return isinstance(error, kinds) and not isinstance(error, RateLimited)


def _chosen(contents: Contents, root: Descriptor, there: Images, platform: Platform | None) -> Descriptor:
    if platform is not None:
        return pick(there, platform)
    if root.media_type in MANIFESTS:
        return root
    usual = parse_platform(f"linux/{machine.machine() or 'amd64'}")
    fitting = [image for image, one in there if one.satisfies(usual)]
    any_at_all = (one for one in manifests(contents, [root]) if one.media_type in MANIFESTS)
    return next(chain(fitting, (image for image, _ in there), any_at_all), root)


def _no_manifest(name: str, root: Descriptor) -> Unsupported | NotFound:
    what = printable(name, 160)
    if root.media_type in SCHEMA1:
        return Unsupported(
            f"{what} is a manifest of Docker's schema 1", hint="`dockless copy` makes an image of today's kind of it."
        )
    return NotFound(f"{what} is of type {printable(root.media_type, 100)} and holds no image")


def _layers(manifest: Manifest, config: ImageConfig | None) -> tuple[ImageLayer, ...]:
    if config is None:
        return tuple(map(ImageLayer, manifest.layers))
    diff_ids = iter(config.rootfs.diff_ids or ())
    steps = (one for one in config.history or () if not one.empty_layer)
    return tuple(ImageLayer(layer, next(diff_ids, None), next(steps, None)) for layer in manifest.layers)


def _platforms(contents: Contents, image: Image, jobs: int) -> tuple[PlatformSummary, ...]:
    def summed(one: Descriptor, platform: Platform) -> PlatformSummary:
        try:
            document = contents.document(one)
        except NotFound:  # some keep an index whole and only some of its images
            document = None
        size = size_of(document) if isinstance(document, Manifest) else None
        return PlatformSummary(str(platform), one.digest, size)

    return tuple(each([partial(summed, *one) for one in image.platforms], jobs))


def _summary(image: Image, platforms: tuple[PlatformSummary, ...]) -> ImageSummary:
    manifest = image.manifest
    common = ImageSummary(
        name=image.name,
        digest=image.root.digest,
        media_type=image.root.media_type,
        artifact_type=manifest.artifact_type or (None if image.config else manifest.config.media_type),
        platforms=platforms,
        platform=str(image.platform) if image.platform else None,
        manifest=image.descriptor.digest,
        size=image.size,
        annotations=manifest.annotations or {},
        layers=tuple(map(_layer, image.layers)),
    )
    return common if image.config is None else _with_config(common, image.config)


def _with_config(summary: ImageSummary, config: ImageConfig) -> ImageSummary:
    starts = config.config or V1Config()
    return msgspec.structs.replace(
        summary,
        created=config.created,
        author=config.author or None,
        labels=starts.labels or {},
        env=tuple(starts.env or ()),
        entrypoint=_words(starts.entrypoint),
        cmd=_words(starts.cmd),
        user=starts.user or "",
        workdir=starts.working_dir or "",
        ports=tuple(sorted(starts.exposed_ports or ())),
        volumes=tuple(sorted(starts.volumes or ())),
    )


def _words(command: list[str] | str | None) -> tuple[str, ...]:
    return (command,) if isinstance(command, str) and command else tuple(command or ())


def _layer(layer: ImageLayer) -> LayerSummary:
    one, step = layer.descriptor, layer.history or History()
    return LayerSummary(one.digest, one.media_type, one.size, layer.diff_id, step.created, step.created_by)
