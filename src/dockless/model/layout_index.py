"""What lies where in an OCI image layout, and `index.json` as a value (OCI image-spec, image-layout.md).

Rules:
* A tag is `org.opencontainers.image.ref.name` on an entry of `index.json`; any text is read as one. A manifest with
  several tags is several entries; an entry without one is a root, too: a referrer, or what a tag has moved away from.
* What is not known here survives in the document and in each entry. An entry changes only in its names.
* Nothing is lost by naming: a manifest that loses its last name stays listed, untagged, until it is removed itself.
* `io.containerd.image.name` is an entry's tag in full: it finds the entry, too, and is gone when the tag is.
* A name that several entries have for different content, as when `docker save` wrote two images tagged `latest`, is
  ambiguous: it is neither resolved nor moved.
"""

from collections.abc import Iterable

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, is_digest
from dockless.model.documents import LONGEST_DOCUMENT
from dockless.model.errors import InvalidDocument, InvalidReference, Unsupported
from dockless.model.media_types import DOCUMENTS, OCI_INDEX, OCI_MANIFEST
from dockless.model.printable import is_printable, printable
from dockless.model.v1_documents import decode

LAYOUT_FILE_NAME = "oci-layout"
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE_NAME = "index.json"

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"

_Fields = dict[str, msgspec.Raw]


def blob_path(digest: Digest) -> str:
    """Return where a blob lies below the layout's root."""
    return f"blobs/{digest.replace(':', '/')}"


class _Version(msgspec.Struct, rename="camel"):
    image_layout_version: str


def check_layout_version(raw: bytes, what: str) -> None:
    """Check the content of the file `oci-layout`. Raises InvalidDocument, Unsupported for a version above 1."""
    version = decode(raw, _Version, what).image_layout_version
    if version.partition(".")[0] != "1":
        raise Unsupported(f"{what} is of version {printable(version, 40)!r}; known is 1.0.0")


class _Shape(msgspec.Struct, rename="camel"):
    media_type: str | None = None
    config: _Fields | None = None
    layers: list[msgspec.Raw] | None = None
    manifests: list[msgspec.Raw] | None = None


def document_type(raw: bytes) -> str | None:
    """Return the media type of bytes that are a manifest or an index: what they say, else by shape. None: neither."""
    try:
        shape = decode(raw, _Shape, "a blob")
    except InvalidDocument:
        return None
    if shape.media_type in DOCUMENTS:
        return shape.media_type
    is_index = shape.manifests is not None
    is_manifest = shape.config is not None and shape.layers is not None
    if is_index == is_manifest:
        return None
    return shape.media_type or (OCI_INDEX if is_index else OCI_MANIFEST)


class _Entry(msgspec.Struct, frozen=True):
    """One of `manifests`: as it is read, and as it stands there."""

    descriptor: Descriptor
    raw: msgspec.Raw

    @property
    def digest(self) -> Digest:
        return self.descriptor.digest

    @property
    def tag(self) -> str:
        return (self.descriptor.annotations or {}).get(REF_NAME, "")

    @property
    def full_name(self) -> str:
        return (self.descriptor.annotations or {}).get(FULL_NAME, "")

    def named(self, name: str) -> "_Entry":
        """Return this entry under no name but `name`; under none when that is empty."""
        fields = msgspec.json.decode(self.raw, type=_Fields)
        annotations = {
            key: value for key, value in (self.descriptor.annotations or {}).items() if key not in {REF_NAME, FULL_NAME}
        }
        fields.pop("annotations", None)
        if name:
            annotations[REF_NAME] = name
        if annotations:
            fields["annotations"] = msgspec.Raw(msgspec.json.encode(annotations))
        return _entry(msgspec.Raw(msgspec.json.encode(fields)), "an entry")


class LayoutIndex(msgspec.Struct, frozen=True):
    """The `index.json` of a layout. Each change gives a new one, or the very same where nothing changes."""

    fields: _Fields
    rows: tuple[_Entry, ...]

    @property
    def entries(self) -> tuple[Descriptor, ...]:
        """The entries, in order; a manifest with several tags is there once for each."""
        return tuple(row.descriptor for row in self.rows)

    @property
    def raw(self) -> bytes:
        """The document; the same index gives the same bytes. Raises Unsupported when it has become too long to read."""
        raw = msgspec.json.encode({**self.fields, "manifests": [row.raw for row in self.rows]})
        if len(raw) > LONGEST_DOCUMENT:
            raise Unsupported(f"{INDEX_FILE_NAME} would have {len(raw)} bytes, more than {LONGEST_DOCUMENT}")
        return raw

    def tags(self) -> list[str]:
        """Return the tags in order, each once."""
        return sorted({row.tag for row in self.rows} - {""})

    def find(self, name: str) -> Descriptor | None:
        """Return what a tag, a full name or an entry's digest names. Raises InvalidReference when it is ambiguous."""
        if is_digest(name):
            found = [row for row in self.rows if row.digest == name]
        else:
            found = self._tagged(name) or [row for row in self.rows if name and row.full_name == name]
        return _same(found, name).descriptor if found else None

    def only(self) -> Descriptor | None:
        """Return the only root there is, None when there are several or none. Untagged ones count where no other is."""
        roots = [row for row in self.rows if row.tag] or self.rows
        return roots[0].descriptor if len({row.digest for row in roots}) == 1 else None

    def with_tag(self, target: Descriptor, name: str) -> "LayoutIndex":
        """Let `name` name `target`, and nothing else. Raises InvalidReference when it is ambiguous, or no text."""
        if not name or not is_printable(name):
            raise InvalidReference(f"not a tag: {printable(name, 160)!r}")
        before = self._tagged(name)
        if before and _same(before, name).digest == target.digest:
            return self
        index = self.without_tag(name) if before else self
        rows = list(index.rows)
        listed = [place for place, row in enumerate(rows) if row.digest == target.digest]
        for place in listed:
            if not rows[place].tag:
                rows[place] = rows[place].named(name)
                return _with(index, rows)
        base = rows[listed[0]] if listed else _new(target)
        return _with(index, [*rows, base.named(name)])

    def with_entry(self, target: Descriptor) -> "LayoutIndex":
        """List `target` as an untagged root, unless it is listed."""
        if self.find(target.digest):
            return self
        return _with(self, [*self.rows, _new(target).named("")])

    def without_tag(self, name: str) -> "LayoutIndex":
        """Remove a tag and nothing else. Raises InvalidReference when it is ambiguous."""
        found = self._tagged(name)
        if not found:
            return self
        target = _same(found, name)
        rest = [row for row in self.rows if row.tag != name]
        if all(row.digest != target.digest for row in rest):
            rest.insert(self.rows.index(target), target.named(""))
        return _with(self, rest)

    def without(self, digest: Digest) -> "LayoutIndex":
        """Remove what has this digest, with all its tags."""
        rest = [row for row in self.rows if row.digest != digest]
        return _with(self, rest) if len(rest) < len(self.rows) else self

    def _tagged(self, name: str) -> list[_Entry]:
        return [row for row in self.rows if row.tag == name] if name else []


def parse_layout_index(raw: bytes, what: str) -> LayoutIndex:
    """Read an `index.json`. Raises InvalidDocument."""
    if len(raw) > LONGEST_DOCUMENT:
        raise InvalidDocument(f"{what} has {len(raw)} bytes, more than {LONGEST_DOCUMENT}")
    fields = decode(raw, _Fields, what)
    if bytes(fields.get("schemaVersion", b"")) != b"2" or not {"config", "layers"}.isdisjoint(fields):
        raise InvalidDocument(f"{what} is no index of schema 2")
    listed = bytes(fields.get("manifests", b"null"))
    entries = [] if listed == b"null" else decode(listed, list[msgspec.Raw], what)
    return LayoutIndex(fields, tuple(_entry(one, what) for one in entries))


EMPTY = parse_layout_index(
    msgspec.json.encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}), INDEX_FILE_NAME
)


def _entry(raw: msgspec.Raw, what: str) -> _Entry:
    return _Entry(decode(bytes(raw), Descriptor, what), raw)


def _new(target: Descriptor) -> _Entry:
    return _Entry(target, msgspec.Raw(msgspec.json.encode(target)))


def _with(index: LayoutIndex, rows: Iterable[_Entry]) -> LayoutIndex:
    return LayoutIndex(index.fields, tuple(rows))


def _same(found: list[_Entry], name: str) -> _Entry:
    """Return the first; all have to be the same content. Raises InvalidReference."""
    digests = list(dict.fromkeys(row.digest for row in found))
    if len(digests) > 1:
        raise InvalidReference(
            f"{printable(name, 160)!r} is ambiguous: {len(digests)} manifests have this name",
            hint=f"Say which by digest: {', '.join(digests[:4])}.",
        )
    return found[0]
