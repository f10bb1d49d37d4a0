"""Referrers where the registry has no API for them: an index under a tag made from the subject's digest.

Distribution-spec, "Referrers Tag Schema" and "Pushing Manifests with Subject". Rules:
* An index is edited as the JSON it is: what is not known here survives, and entries keep their order.
* Each referrer stands in it once.
"""

import re
from typing import Any

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.documents import Index, make_document
from dockless.model.media_types import OCI_INDEX

_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9._-]")


def fallback_tag(subject: Digest) -> str:
    """Return the tag whose index lists the referrers of `subject`: `ALGORITHM-HEX`, cut at 32 and 64 characters."""
    algorithm, _, encoded = subject.partition(":")
    return _NOT_IN_TAGS.sub("-", f"{algorithm[:32]}-{encoded[:64]}")


def with_referrer(index: Index | None, referrer: Descriptor) -> tuple[Descriptor, bytes] | None:
    """Return the index with one referrer more, None when it has it. Without an index there a new one begins."""
    if index is None:
        return make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [referrer]})
    if any(one.digest == referrer.digest for one in index.manifests):
        return None
    body = _body(index)
    return make_document({**body, "manifests": [*(body.get("manifests") or ()), referrer]})


def without_referrers(index: Index, gone: set[Digest]) -> tuple[Descriptor, bytes] | None:
    """Return the index without some referrers, None when it has none of them."""
    if gone.isdisjoint(one.digest for one in index.manifests):
        return None
    body = _body(index)
    return make_document({**body, "manifests": [one for one in body["manifests"] if one["digest"] not in gone]})


def _body(index: Index) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(index.raw)
    return {**body, "mediaType": index.descriptor.media_type}
