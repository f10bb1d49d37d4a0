"""What refers to an image: signatures, SBOMs, attestations.

Rules:
* A referrer names its subject (OCI image-spec, manifest.md, `subject`); the source lists them.
* What cosign stores the older way, under the tags `sha256-HEX.sig`, `.att` and `.sbom`, is asked for by these names: a
  repository may have more tags than one wants to list.
* They come in rounds, each after what it refers to: referrers, and the manifests below them, have referrers, too. A
  registry can make them up as it is asked, so there are bounds as for all that is below an image.
"""

from collections.abc import Iterator
from functools import partial
from itertools import islice

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.errors import NotFound
from dockless.net.waiting import each
from dockless.ops.contents import MOST, Contents, check_bounds, manifests
from dockless.ops.sides import at
from dockless.stores.base import Readable

JOBS = 8
_SUFFIXES = ("sig", "att", "sbom")


class Round(msgspec.Struct, frozen=True):
    """Referrers of what came before, those that are `listed` for each subject, and the tags that name some."""

    found: tuple[Descriptor, ...]
    listed: dict[Descriptor, list[Descriptor]]
    tags: dict[str, Descriptor]


def rounds(contents: Contents, root: Descriptor) -> Iterator[Round]:
    """Yield what refers to `root` or to a manifest below it, to those in turn and so on, each once.

    Raises CopyFault of the source.
    """
    seen: set[Digest] = set()
    with at("source", root):
        subjects = list(manifests(contents, [root]))
    depth = 0
    while subjects:
        seen.update(one.digest for one in subjects)
        found: dict[Digest, Descriptor] = {}
        listed: dict[Descriptor, list[Descriptor]] = {}
        tags: dict[str, Descriptor] = {}
        for start in range(0, len(subjects), JOBS):
            now = subjects[start : start + JOBS]
            attached = each([partial(_attached, contents.source, one) for one in now], JOBS)
            for subject, (some, tagged) in zip(now, attached, strict=True):
                tags |= tagged
                found |= {one.digest: one for one in (*some, *tagged.values()) if one.digest not in seen}
                if some:
                    listed[subject] = some
            with at("source", root):
                check_bounds(len(seen) + sum(map(len, listed.values())), depth)
        yield Round(tuple(found.values()), listed, tags)
        depth += 1
        with at("source", root):
            subjects = [one for one in manifests(contents, found.values()) if one.digest not in seen]


def _attached(source: Readable, subject: Descriptor) -> tuple[list[Descriptor], dict[str, Descriptor]]:
    tags: dict[str, Descriptor] = {}
    with at("source", subject):
        listed = [one.plain for one in islice(source.predecessors(subject), MOST + 1)]
        algorithm, _, value = subject.digest.partition(":")
        for suffix in _SUFFIXES if algorithm == "sha256" else ():
            try:
                tags[f"sha256-{value}.{suffix}"] = source.resolve(f"sha256-{value}.{suffix}")
            except NotFound:
                continue
    return listed, tags
