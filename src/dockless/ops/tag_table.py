"""Tags with what they name: digest, date, size.

Rules:
* Rows come in the order of the tags, as soon as they are known; only a few tags are asked for ahead.
* A tag that is gone meanwhile, or broken, has a row that says so. What is no tag's fault ends the table.
* An index has no size and no date of its own: its row lists the platforms, or is about the one that was asked for.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

import msgspec

from dockless.model.digest import Digest
from dockless.model.errors import DocklessError
from dockless.model.media_types import INDEXES, MANIFESTS
from dockless.model.platform import Platform
from dockless.net.waiting import each
from dockless.ops.image import find, is_of_content, view
from dockless.ops.platforms import images
from dockless.stores.base import Readable


class TagRow(msgspec.Struct, frozen=True):
    """One tag: the digest it names, when the image was made, and the bytes of its config and layers as stored.

    What is not known is None. `platforms` are those of an index, or the image's own; `error` is what went wrong.
    """

    tag: str
    digest: Digest | None = None
    created: str | None = None
    size: int | None = None
    platforms: tuple[str, ...] = ()
    error: str | None = None


def tag_table(
    source: Readable, tags: Iterable[str], *, platform: Platform | None = None, jobs: int = 8
) -> Iterator[TagRow]:
    """Yield a row for each tag, `jobs` of them asked for at once. Raises what `tags` does, and faults of the place."""
    waiting = iter(tags)
    while some := [partial(_row, source, tag, platform) for tag in islice(waiting, 2 * jobs)]:
        yield from each(some, jobs)


def _row(source: Readable, tag: str, platform: Platform | None) -> TagRow:
    digest = None
    try:
        contents, root = find(source, tag)
        digest = root.digest
        if root.media_type in INDEXES and platform is None:
            return TagRow(tag, digest, platforms=tuple(str(one) for _, one in images(contents, root)))
        if root.media_type not in INDEXES | MANIFESTS:
            return TagRow(tag, digest)
        image = view(contents, tag, root, platform)
    except DocklessError as error:
        if not is_of_content(error):
            raise
        return TagRow(tag, digest, error=str(error))
    created = image.config.created if image.config else None
    return TagRow(tag, digest, created, image.size, (str(image.platform),) if image.platform else ())
