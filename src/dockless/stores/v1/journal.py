"""What became of layers that were read already, so that an interrupted migration does not read them again.

Rules:
* One file, `layers`, in a directory of the cache, safe to delete at any time. Each line tells of one layer, in JSON,
  and is added under a lock; one that was cut short, or is anything else, tells of nothing.
* A layer is known by its registry and image id together with what the registry promised of it: whoever gets another
  promise reads it again.
* A line says what a layer is, not where it is: whoever believes it asks the destination.
* A cache that cannot be written costs a notice, not the migration.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dockless.model.errors import LocalFault
from dockless.model.events import Notice, Observer, ignore
from dockless.model.v1_synthesis import Layer
from dockless.stores.base import V1Image
from dockless.stores.files import exclusive, local_faults


class _Key(msgspec.Struct, frozen=True):
    registry: str
    image: str
    checksum: str | None
    size: int | None


class _Line(msgspec.Struct, frozen=True):
    key: _Key
    layer: Layer


class Journal:
    """The journal in `directory`, which is made when there is something to write. Safe to share."""

    def __init__(self, directory: Path, observe: Observer = ignore) -> None:
        self._path = directory / "layers"
        self._observe = observe
        self._lock = threading.Lock()
        self._known = {line.key: line.layer for line in self._lines()}

    def find(self, registry: str, image: V1Image) -> Layer | None:
        """Return what the layer of an image was, None when nobody has read it yet."""
        return self._known.get(_key(registry, image))

    def record(self, registry: str, image: V1Image, layer: Layer) -> None:
        """Remember what the layer of an image was."""
        line = _Line(_key(registry, image), layer)
        with self._lock:
            self._known[line.key] = layer
            try:
                self._write(msgspec.json.encode(line))
            except LocalFault as fault:
                self._observe(Notice(f"what was read is not remembered: {fault}"))

    def _lines(self) -> Iterator[_Line]:
        decoder = msgspec.json.Decoder(_Line)
        try:
            with self._path.open("rb") as file:
                for text in file:
                    try:
                        yield decoder.decode(text)
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        continue
        except OSError:  # not there, or not for us
            return

    def _write(self, line: bytes) -> None:
        with local_faults(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(self._path, self._observe) as file:
                file.write(b"\n" + line + b"\n")  # what was cut short before ends here


def _key(registry: str, image: V1Image) -> _Key:
    return _Key(registry, image.id, image.checksum, image.size)
