"""The platforms of an image: one picked, or a smaller index of some.

Rules:
* What an index says of an entry counts; an entry without a platform is what its config says.
* A smaller index holds the entries that are kept as they were and in their order, with every other field; nested
  indexes become smaller in the same way. Attestations (BuildKit's `vnd.docker.reference.digest`) follow their image.
* An index all of whose entries are kept is the same index.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from dockless.model.descriptor import Descriptor, describe
from dockless.model.digest import Digest
from dockless.model.documents import Index, Manifest
from dockless.model.errors import NotFound
from dockless.model.media_types import INDEXES, MANIFESTS
from dockless.model.platform import Platform
from dockless.model.printable import printable
from dockless.model.v1_documents import decode
from dockless.ops.contents import Contents, config_of, manifests
from dockless.stores.base import Readable

_REFERENCE = "vnd.docker.reference.digest"
_NO_PLATFORM = Platform(os="unknown", architecture="unknown")  # what BuildKit says of attestations

Images = Sequence[tuple[Descriptor, Platform]]


def select(source: Readable, root: Descriptor, platform: Platform) -> Descriptor:
    """Return the manifest for a platform, at or below `root`: the one that is exactly it, else the first that does.

    Raises NotFound, which lists the platforms there are, InvalidDocument, VerificationFailed and what the source does.
    """
    return pick(images(Contents(source), root), platform)


def images(contents: Contents, root: Descriptor) -> Images:
    """Return the manifests at and below `root` that have a platform, with it. Raises as `select`, but for NotFound."""
    found = [
        (one, one.platform or _configured(contents, one))
        for one in manifests(contents, [root])
        if one.media_type in MANIFESTS
    ]
    return [(one, platform) for one, platform in found if platform.os and platform != _NO_PLATFORM]


def pick(there: Images, wanted: Platform) -> Descriptor:
    """Return the image for a platform. Raises NotFound."""
    matching = [(one, platform) for one, platform in there if platform.satisfies(wanted)]
    if not matching:
        raise _missing([wanted], there)
    return next((one for one, platform in matching if platform == wanted), matching[0][0])


def narrow(contents: Contents, root: Descriptor, wanted: Sequence[Platform], there: Images) -> Descriptor:
    """Return an index of no more than the wanted platforms; `contents` keeps it. Raises NotFound if one is missing."""
    missing = [one for one in wanted if not any(platform.satisfies(one) for _, platform in there)]
    if missing:
        raise _missing(missing, there)
    kept = {image.digest for image, platform in there if any(map(platform.satisfies, wanted))}
    return _Smaller(contents, kept).index(root) or root


class _Smaller:
    """Makes indexes of some of their entries, each once."""

    def __init__(self, contents: Contents, kept: set[Digest]) -> None:
        self._contents = contents
        self._kept = kept
        self._made: dict[Digest, Descriptor | None] = {}

    def index(self, whole: Descriptor) -> Descriptor | None:
        """Return the smaller index, None when nothing is left in it; what is no index is returned as it is."""
        if whole.digest not in self._made:
            document = self._contents.document(whole)
            self._made[whole.digest] = self._index(document) if isinstance(document, Index) else whole
        return self._made[whole.digest]

    def _index(self, whole: Index) -> Descriptor | None:
        body = decode(whole.raw, dict[str, Any], f"the index {whole.descriptor.digest}")
        entries = list(self._entries(whole.manifests, body["manifests"]))
        if entries == body["manifests"]:
            return whole.descriptor
        if not entries:
            return None
        raw = msgspec.json.encode({**body, "manifests": entries})
        made = describe(raw, whole.descriptor.media_type)
        self._contents.keep(made, raw)
        return made

    def _entries(self, entries: Iterable[Descriptor], raw: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        for one, fields in zip(entries, raw, strict=True):
            if one.media_type in INDEXES:
                made = self.index(one)
                if made == one:
                    yield fields
                elif made is not None:
                    changed = {"digest": made.digest, "size": made.size}
                    yield {name: value for name, value in (fields | changed).items() if name != "data"}
            elif self._kept & {one.digest, (one.annotations or {}).get(_REFERENCE)}:
                yield fields


def _configured(contents: Contents, image: Descriptor) -> Platform:
    """Return the platform that an image's config says; one without an OS when it says none, or is no image's."""
    document = contents.document(image)
    config = config_of(contents, document) if isinstance(document, Manifest) else None
    return config.platform if config else Platform()


def _missing(wanted: Sequence[Platform], there: Images) -> NotFound:
    listed = printable(", ".join(dict.fromkeys(str(platform) for _, platform in there)) or "none", 2000)
    asked = ", ".join(map(str, wanted))
    return NotFound(f"there is no {asked} in it; it has: {listed}", hint="Name one of them with --platform.")
