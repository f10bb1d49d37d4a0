"""Copy: the one mover of content.

Rules:
* What is below a manifest comes before it, what refers to it (if wanted) after it, and the tag last of all.
* A tag that names the wanted digest already costs one question to each side, and is done.
* Digests stay as they are unless a platform is asked for, or the source holds Docker's schema 1, which nobody reads any
  more; then the change is told.
* A referrer that is at the destination may not be listed there, when who copied it was killed: it is listed then.
* A name that is a digest gets no tag, but the destination is told of it: a layout keeps a list of what it holds.
"""

from collections.abc import Sequence
from functools import partial

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import is_digest
from dockless.model.errors import Conflict, NotFound, Unsupported
from dockless.model.events import Notice, Observer, ignore
from dockless.model.media_types import SCHEMA1
from dockless.model.platform import Platform
from dockless.model.printable import printable
from dockless.net.waiting import each, off_main
from dockless.ops.contents import Contents
from dockless.ops.graph import Graph, Tally
from dockless.ops.platforms import images, narrow, pick
from dockless.ops.referrers import JOBS, rounds
from dockless.ops.schema1 import convert
from dockless.ops.sides import at
from dockless.stores.base import NamedFetcher, Readable, ReferrerLister, Store


class CopyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to copy.

    `jobs` blobs at once; of `platforms` only these, () for all; `referrers` along with it; without `clobber` a tag
    that names something else stays; `digest`, if given, is what is copied has to have; a `dry_run` only says what it
    would do.
    """

    jobs: int = 4
    platforms: tuple[Platform, ...] = ()
    referrers: bool = False
    clobber: bool = True
    digest: str = ""
    dry_run: bool = False


_USUAL = CopyOptions()


class Copied(Tally, frozen=True, kw_only=True):
    """What was copied: `root`, made from `source_root`, has the `name` at the destination, and so many `referrers`.

    `changed`: its digest is another than that of the source.
    """

    root: Descriptor
    source_root: Descriptor
    name: str
    changed: bool = False
    referrers: int = 0


def copy(
    source: Readable,
    name: str,
    destination: Store,
    new_name: str | None = None,
    *,
    options: CopyOptions = _USUAL,
    observe: Observer = ignore,
) -> Copied:
    """Copy what a tag or digest names, under `new_name`; None is the same name, and an empty one is none.

    Raises CopyFault, which says at which side; NotFound for a platform that is not there; Conflict for a name that is
    taken, or a digest that is not that of what would be copied. What is complete by then stays.
    """
    return off_main(lambda: _Copy(source, destination, options, observe).run(name, new_name))


def copy_graph(
    source: Readable, destination: Store, root: Descriptor, *, jobs: int = 4, observe: Observer = ignore
) -> Tally:
    """Copy a manifest and all that is below it, and give it no name. Raises CopyFault."""
    graph = Graph(Contents(source), destination, jobs=jobs, observe=observe)
    off_main(lambda: graph.copy([root]))
    return graph.tally


class _Copy:
    """One copy under way."""

    def __init__(self, source: Readable, destination: Store, options: CopyOptions, observe: Observer) -> None:
        self._contents = Contents(source)
        self._destination = destination
        self._options = options
        self._observe = observe
        self._graph = Graph(self._contents, destination, jobs=options.jobs, dry_run=options.dry_run, observe=observe)

    def run(self, name: str, new_name: str | None) -> Copied:
        target = name if new_name is None else new_name
        there = self._named(target) if target and not is_digest(target) else None
        given = self._given(name, there)
        root = self._wanted(self._converted(given))
        changed = root.digest != given.digest
        if not target or (changed and new_name is None and is_digest(name)):
            target = root.digest
        required = target if is_digest(target) else self._options.digest or root.digest
        if required != root.digest:
            raise Conflict(f"what would be copied is {root.digest}, and not {required}", hint="Name a tag, or nothing.")
        is_there = there is not None and there.digest == root.digest
        if there is not None and not is_there and not self._options.clobber:
            raise Conflict(
                f"{printable(target, 160)} is there and names {there.digest}, not {root.digest}",
                hint="Choose another tag, or leave out --no-clobber.",
            )
        if not is_there:
            self._graph.copy([root])
        referrers = self._copy_referrers(root) if self._options.referrers else 0
        if not is_there:
            self._tag(root, target)
        did = msgspec.structs.asdict(self._graph.tally)
        return Copied(root=root, source_root=given, name=target, changed=changed, referrers=referrers, **did)

    def _named(self, name: str) -> Descriptor | None:
        with at("destination"):
            try:
                return self._destination.resolve(name)
            except NotFound:
                return None

    def _given(self, name: str, there: Descriptor | None) -> Descriptor:
        """Return what the source has under a name. It is read in the same trip, unless it may be what is `there`."""
        source = self._contents.source
        with at("source"):
            if not isinstance(source, NamedFetcher):
                return source.resolve(name).plain
            if there is not None and not self._options.platforms:
                found = source.resolve(name)
                if found.digest == there.digest:
                    return found.plain
            found, raw = source.fetch_named(name)
            self._contents.keep(found, raw)
            return found.plain

    def _converted(self, given: Descriptor) -> Descriptor:
        """Return the image that a manifest of schema 1 becomes, whose layers are at the destination then."""
        if given.media_type not in SCHEMA1:
            return given
        if self._options.dry_run:
            raise Unsupported(
                f"{given.digest} is of Docker's schema 1: what it becomes is known when its layers are read"
            )
        return convert(self._contents, given, self._destination, jobs=self._options.jobs, observe=self._observe)

    def _wanted(self, given: Descriptor) -> Descriptor:
        """Return what of a manifest or an index is wanted."""
        wanted = self._options.platforms
        if not wanted:
            return given
        with at("source", given):
            there = images(self._contents, given)
        chosen = pick(there, wanted[0]) if len(wanted) == 1 else narrow(self._contents, given, wanted, there)
        if chosen.digest != given.digest:
            some = ", ".join(map(str, wanted))
            self._observe(Notice(f"the digest changes: of {given.digest} only {some} is copied, as {chosen.digest}"))
        return chosen.plain

    def _copy_referrers(self, root: Descriptor) -> int:
        """Copy what refers to `root`, and return how much that is."""
        count = 0
        for one in rounds(self._contents, root):
            count += len(one.found)
            self._graph.copy(one.found)
            each([partial(self._list, *listed) for listed in one.listed.items()], JOBS)
            for name, target in one.tags.items():
                there = self._named(name)
                if there is None or (there.digest != target.digest and self._options.clobber):
                    self._tag(target, name)
                elif there.digest != target.digest:
                    self._observe(Notice(f"{name} is there and names something else: it stays"))
        return count

    def _list(self, subject: Descriptor, referrers: Sequence[Descriptor]) -> None:
        if isinstance(self._destination, ReferrerLister) and not self._options.dry_run:
            with at("destination", subject):
                self._destination.list_referrers(subject, referrers)

    def _tag(self, target: Descriptor, name: str) -> None:
        if not self._options.dry_run:
            with at("destination", target):
                self._destination.tag(target, name)
