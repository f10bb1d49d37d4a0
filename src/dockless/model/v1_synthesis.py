"""An image of v1 made one of OCI, and the other way round; the same input gives the same bytes on any day.

Rules, v1 to OCI (OCI image-spec, config.md; what Docker did when it left v1):
* The newest image's JSON gives the config: created, author, platform, and its `config` as it stands, without nulls;
  `Cmd` and `Entrypoint` that are a text become a list. Without them, architecture is amd64 and os linux, which is what
  the first Dockers were for; `x86_64` is amd64.
* Each image gives one entry of the history: `created_by` is its `container_config.Cmd`, joined by spaces.
* An image whose layer holds nothing (Docker's empty layer, 1024 zero bytes, packed or not; or no bytes at all) changed
  no files: `empty_layer` in its history, and no layer, unless its JSON says `"throwaway": false`.
* A date that is none (RFC 3339) is left out: other tools refuse the whole config for it.
* A layer's media type says how it is packed. OCI has none for bzip2 and xz: what is packed so is called a tar, which
  skopeo, podman and Docker unpack by its first bytes, while they refuse a type that they do not know.

Rules, OCI to v1:
* One image for each entry of the history, base first; layers that the history does not account for follow as images of
  their own, and entries for which there is no layer have the empty one. There is always one image.
* `container_config.Cmd` holds the history's text as one word. The newest image has date, author, platform and `config`.
* The empty layer comes with `"throwaway": true`, as Docker marked it, and what is a layer of the manifest with false.
  So a layer stays one on the way back, even one that holds nothing, and what was OCI from v1 gets its digest again.
* The id is the sha256 of the JSON without it, with `layer_id`, the layer's digest, in its place: it stands for the
  parents and for the layer's bytes as they are packed.
* A layer that clients of v1 could not unpack, such as one packed with zstd, is Unsupported.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest, digest_of
from dockless.model.documents import make_document
from dockless.model.errors import InvalidDocument, InvalidReference, Unsupported
from dockless.model.image_config import History, ImageConfig, RootFS, parse_image_config
from dockless.model.image_id import ImageId
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST
from dockless.model.platform import Platform, parse_platform
from dockless.model.printable import printable
from dockless.model.v1_documents import MOST_ANCESTORS, V1ImageConfig, decode

EMPTY_LAYER = bytes(1024)  # as Docker pushed it; in diff ids it is the first of these
_NOTHING = (digest_of(EMPTY_LAYER), digest_of(b""))

_PACKED = {"gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD}
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_READABLE = re.compile(r".*[.]tar(?:[.+]gzip)?")

_Fields = dict[str, msgspec.Raw]
_NULL, _EMPTY, _FALSE = msgspec.Raw(b"null"), msgspec.Raw(b"{}"), msgspec.Raw(b"false")


class Layer(msgspec.Struct, frozen=True):
    """A layer as it is stored, and the digest of the tar that it unpacks to."""

    descriptor: Descriptor
    diff_id: Digest


class OciImage(msgspec.Struct, frozen=True):
    """Config and manifest, each with its bytes."""

    config: Descriptor
    config_raw: bytes
    manifest: Descriptor
    manifest_raw: bytes


class V1Made(msgspec.Struct, frozen=True):
    """An image for v1: its JSON, and its layer; None: EMPTY_LAYER."""

    id: ImageId
    raw: bytes
    layer: Descriptor | None


def layer_media_type(compression: str) -> str:
    """Return the media type of a layer packed with `gzip` or `zstd`; of any other, OCI_LAYER."""
    return _PACKED.get(compression, OCI_LAYER)


def is_layer(raw: bytes, diff_id: str) -> bool:
    """Say whether the layer of the image with the JSON `raw` is one in OCI, too. Raises InvalidDocument."""
    return diff_id not in _NOTHING or _image(raw)[1].get("throwaway") == _FALSE


def oci_from_v1(images: Sequence[bytes], layers: Sequence[Layer | None]) -> OciImage:
    """Make one image of the JSONs of all images, base first; `layers` holds each one's layer, None where it is none.

    Raises InvalidDocument for JSON that is not an image's.
    """
    read = [_image(raw) for raw in images]
    top, fields = read[-1]
    platform = _platform(top)
    config: dict[str, object] = {
        "created": _date(top.created),
        "author": top.author or None,
        "architecture": platform.architecture,
        "os": platform.os,
        **_kept(fields, "os.version", "variant"),
        "config": _config(fields),
        "rootfs": RootFS(diff_ids=tuple(layer.diff_id for layer in layers if layer)),
        "history": [_history(image, layer) for (image, _), layer in zip(read, layers, strict=True)],
    }
    config_raw = msgspec.json.encode(_present(config))
    parse_image_config(config_raw, "the config made of an image's JSON")
    described = describe(config_raw, OCI_CONFIG)
    manifest, manifest_raw = make_document(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described,
            "layers": [layer.descriptor for layer in layers if layer],
        }
    )
    return OciImage(described, config_raw, manifest, manifest_raw)


def v1_from_oci(config: bytes, layers: Sequence[Descriptor]) -> list[V1Made]:
    """Make images for v1, base first, of an image's config and its manifest's layers.

    Raises InvalidDocument for a config that is none, Unsupported for an image that v1 cannot hold.
    """
    typed = parse_image_config(config, "the image's config")
    fields = _fields(config, "the image's config")
    for one in layers:
        if _READABLE.fullmatch(one.media_type) is None:
            raise Unsupported(
                f"layer {one.digest} is of type {printable(one.media_type, 100)}, which no client of v1 can unpack",
                hint="v1 takes tars that are not packed, or packed with gzip.",
            )
    steps = list(_steps(typed, layers))
    if len(steps) > MOST_ANCESTORS:
        raise Unsupported(f"the image has {len(steps)} steps; v1 has room for {MOST_ANCESTORS}")
    made: list[V1Made] = []
    for number, (step, layer) in enumerate(steps, 1):
        parent = {"parent": made[-1].id} if made else {}
        top = _top(typed, fields) if number == len(steps) else {}
        made.append(_made({**parent, **_step(step), **top, "throwaway": layer is None}, layer))
    return made


def _image(raw: bytes) -> tuple[V1ImageConfig, _Fields]:
    return decode(raw, V1ImageConfig, "an image's JSON"), _fields(raw, "an image's JSON")


def _fields(raw: bytes, what: str) -> _Fields:
    try:
        raw.decode()  # what is passed on unread is UTF-8, too
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"{what} is not UTF-8") from error
    return decode(raw, _Fields, what)


def _platform(image: V1ImageConfig) -> Platform:
    try:
        return parse_platform(f"{image.os or 'linux'}/{image.architecture or 'amd64'}")
    except InvalidReference as error:
        raise InvalidDocument(f"an image's JSON names a platform that is none: {error}") from error


def _present(fields: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def _kept(fields: _Fields, *names: str) -> _Fields:
    return {name: fields[name] for name in names if fields.get(name, _NULL) != _NULL}


def _config(fields: _Fields) -> _Fields | None:
    inner = decode(_kept(fields, "config").get("config", _EMPTY), _Fields, "an image's config")
    listed = {name: value for name, value in inner.items() if value != _NULL}
    for name in {"Cmd", "Entrypoint"} & listed.keys():
        if bytes(listed[name]).startswith(b'"'):
            listed[name] = msgspec.Raw(b"[%b]" % listed[name])
    return listed or None


def _history(image: V1ImageConfig, layer: Layer | None) -> History:
    command = image.container_config.cmd if image.container_config else None
    return History(
        created=_date(image.created),
        created_by=(" ".join(command) if isinstance(command, list) else command) or None,
        author=image.author or None,
        comment=image.comment or None,
        empty_layer=layer is None,
    )


def _date(text: str | None) -> str | None:
    if text is None or _DATE.fullmatch(text) is None:
        return None
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return None
    return text


def _steps(config: ImageConfig, layers: Sequence[Descriptor]) -> Iterator[tuple[History, Descriptor | None]]:
    left = iter(layers)
    for step in config.history or ():
        yield step, None if step.empty_layer else next(left, None)
    for layer in left:
        yield History(), layer
    if not config.history and not layers:
        yield History(empty_layer=True), None


def _step(step: History) -> dict[str, object]:
    return _present(
        {
            "created": _date(step.created),
            "author": step.author or None,
            "comment": step.comment or None,
            "container_config": {"Cmd": [step.created_by]} if step.created_by else None,
        }
    )


def _top(config: ImageConfig, fields: _Fields) -> dict[str, object]:
    """Return what the newest image has beside, or in place of, its step."""
    kept = _kept(fields, "architecture", "os", "os.version", "variant", "config")
    return {**_present({"created": _date(config.created), "author": config.author or None}), **kept}


def _made(fields: dict[str, object], layer: Descriptor | None) -> V1Made:
    layer_id = layer.digest if layer else _NOTHING[0]
    image_id = ImageId(digest_of(msgspec.json.encode({**fields, "layer_id": layer_id})).partition(":")[2])
    return V1Made(image_id, msgspec.json.encode({"id": image_id, **fields}), layer)
