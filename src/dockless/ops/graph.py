"""A graph of content from one place to another: children first, each once.

Rules:
* One thread keeps the counts (children left per parent) and decides; workers ask, read and send, and wait for nobody.
* What is at the destination is neither read nor followed: a manifest that is there has all that is below it. Then a
  blob is mounted, if the place can; only then do bytes move, straight from one side to the other.
* At most `jobs` blobs move at once, the largest first. What is small has workers of its own and waits for no blob.
* A manifest that is refused since the place misses what it said it had: that is sent after all, once, and the manifest
  again (a registry of several servers may be behind itself).
* Foreign layers (`urls`; the types that must not be distributed) are copied where the source has them, else left out.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Literal

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.documents import Document
from dockless.model.errors import CopyFault, DocklessError, SizeMismatch, Unsupported
from dockless.model.events import BlobFinished, BlobMounted, BlobQueued, Notice, Observer, ignore
from dockless.model.media_types import DOCUMENTS, SCHEMA1
from dockless.net.waiting import Crew
from dockless.ops.contents import Contents, check_bounds
from dockless.ops.sides import at, send
from dockless.stores.base import Mounter, Store

_REQUESTS = 8  # small things under way at once, at least
_SMALL = 1 << 20  # bytes
_FOREIGN = (
    "application/vnd.oci.image.layer.nondistributable.v1.",
    "application/vnd.docker.image.rootfs.foreign.",
)
_UNKNOWN = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})

_Ending = Literal["copied", "mounted", "present", "foreign"]


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy did; after a dry run, what it would do.

    `blobs` and `manifests` were copied, and have so many `bytes`; `mounted` blobs came without their bytes; `present`
    is what was there already, not counting what is below it; `foreign` layers were left out.
    """

    blobs: int = 0
    manifests: int = 0
    bytes: int = 0
    mounted: int = 0
    present: int = 0
    foreign: int = 0


class _Node(msgspec.Struct, eq=False):
    """One piece of content and how far it is. `left` counts the children that are under way."""

    content: Descriptor
    is_document: bool
    is_foreign: bool
    depth: int
    parents: list["_Node"] = []
    children: list["_Node"] = []
    left: int = 0
    ending: _Ending | None = None
    is_doubted: bool = False  # the destination said it was there, and then that it was not
    was_refused: bool = False


class Graph:
    """One copy under way; each piece of content is dealt with once, however often `copy` is called."""

    def __init__(
        self,
        contents: Contents,
        destination: Store,
        *,
        jobs: int,
        dry_run: bool = False,
        observe: Observer = ignore,
    ) -> None:
        self._contents = contents
        self._destination = destination
        self._dry_run = dry_run
        self._observe = observe
        self._nodes: dict[tuple[Digest, bool], _Node] = {}
        self._counts: Counter[str] = Counter()
        self._jobs = max(1, jobs)

    @property
    def tally(self) -> Tally:
        """What was done so far."""
        return Tally(**self._counts)

    def copy(self, roots: Iterable[Descriptor]) -> None:
        """Copy manifests and everything below them. Raises CopyFault."""

        def begin() -> None:
            for root in roots:
                self._expect(root, None)

        self._crew = Crew(requests=max(_REQUESTS, self._jobs), blobs=self._jobs)
        self._crew.run(begin)

    # What follows decides, on the thread that called `copy`.

    def _expect(self, wanted: Descriptor, parent: _Node | None) -> None:
        is_document = parent is None or wanted.media_type in DOCUMENTS
        node = self._nodes.get((wanted.digest, is_document))
        if node is None:
            node = _Node(
                self._contents.plain(wanted),
                is_document,
                is_foreign=bool(wanted.urls) or wanted.media_type.startswith(_FOREIGN),
                depth=parent.depth + 1 if parent else 0,
            )
            self._nodes[wanted.digest, is_document] = node
            self._look_later(node)
        with at("source", wanted):
            check_bounds(len(self._nodes), node.depth)
            if node.content.size != wanted.size:
                raise SizeMismatch(f"{wanted.digest} is said to have {node.content.size} bytes, and {wanted.size}")
        if parent is not None:
            parent.children.append(node)
            self._await(node, parent)

    def _await(self, node: _Node, parent: _Node) -> None:
        if node.ending is None:
            node.parents.append(parent)
            parent.left += 1

    def _look_later(self, node: _Node) -> None:
        self._crew.add("requests", partial(self._look, node), partial(self._looked, node), node.content.size)

    def _send_later(self, node: _Node) -> None:
        lane = "requests" if node.is_document or node.content.size <= _SMALL else "blobs"
        self._crew.add(lane, partial(self._send, node), partial(self._sent, node), node.content.size)

    def _looked(self, node: _Node, found: Document | _Ending | None) -> None:
        if isinstance(found, str):
            self._end(node, found)
            return
        if found is None:
            self._observe(BlobQueued(node.content.digest, node.content.size))
        else:
            for child in found.successors:
                self._expect(child, node)
        if not node.left:
            self._send_later(node)

    def _sent(self, node: _Node, outcome: _Ending | CopyFault) -> None:
        if not isinstance(outcome, CopyFault):
            self._end(node, outcome)
        elif node.was_refused:
            raise outcome
        else:
            node.was_refused = True
            for child in node.children:
                self._doubt(child)
                self._await(child, node)
            if not node.left:
                self._send_later(node)

    def _doubt(self, node: _Node) -> None:
        if node.ending in {"present", "mounted"}:
            self._counts[node.ending] -= 1
            node.ending = None
            node.is_doubted = True
            self._look_later(node)

    def _end(self, node: _Node, ending: _Ending) -> None:
        is_delivered = self._contents.is_delivered(node.content.digest)
        if is_delivered and ending == "present":
            ending = "copied"
        node.ending = ending
        if ending == "copied":
            self._counts["manifests" if node.is_document else "blobs"] += 1
            self._counts["bytes"] += node.content.size
        else:
            self._counts[ending] += 1
        if not (node.is_document or is_delivered):
            self._tell(node.content, ending)
        for parent in node.parents:
            parent.left -= 1
            if not parent.left:
                self._send_later(parent)
        node.parents = []

    def _tell(self, blob: Descriptor, ending: _Ending) -> None:
        if ending == "foreign":
            self._observe(Notice(f"{blob.digest} is a foreign layer that the source does not have: left out"))
        elif ending == "mounted":
            self._observe(BlobMounted(blob.digest, blob.size))
        elif not self._dry_run or ending == "present":
            self._observe(BlobFinished(blob.digest, blob.size, True if ending == "copied" else None))

    # What follows asks and moves, on workers.

    def _look(self, node: _Node) -> Document | _Ending | None:
        """Return how the node ends, or what it is, None for a blob that is to be sent."""
        wanted = node.content
        if not node.is_doubted:
            with at("destination", wanted):
                if self._destination.exists(wanted):
                    return "present"
        if node.is_document:
            with at("source", wanted):
                if wanted.media_type in SCHEMA1:
                    raise Unsupported(f"{wanted.digest} is of Docker's schema 1, and part of something else")
                return self._contents.document(wanted)
        if node.is_foreign:
            with at("source", wanted):
                if not self._contents.source.exists(wanted):
                    return "foreign"
        if not self._dry_run and not node.is_doubted and isinstance(self._destination, Mounter):
            with at("destination", wanted):
                if self._destination.mount(wanted, self._contents.source):
                    return "mounted"
        return None

    def _send(self, node: _Node) -> _Ending | CopyFault:
        if self._dry_run:
            return "copied"
        wanted = node.content
        is_told = node.is_document or self._contents.is_delivered(wanted.digest)
        observe = ignore if is_told else self._observe
        try:
            is_copied = send(self._destination, wanted, partial(self._contents.open, wanted), observe)
        except CopyFault as fault:
            if node.is_document and _is_incomplete(fault):
                return fault
            raise
        return "copied" if is_copied else "present"


def _is_incomplete(fault: CopyFault) -> bool:
    """Say whether a manifest was refused for what is below it."""
    cause = fault.__cause__
    return fault.side == "destination" and isinstance(cause, DocklessError) and not _UNKNOWN.isdisjoint(cause.codes)
