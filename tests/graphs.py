"""Graphs of content, put into stores under test."""

from typing import Any

import msgspec

from dockless.model.descriptor import Descriptor
from dockless.model.documents import make_document
from dockless.model.media_types import OCI_CONFIG, OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from dockless.model.platform import parse_platform
from dockless.stores.base import Store
from dockless.testing.contract import given, put

AMD, ARM, ARM_V6, ARM_V7 = (parse_platform(f"linux/{one}") for one in ("amd64", "arm64", "arm/v6", "arm/v7"))


def document(store: Store, media_type: str, **fields: Any) -> Descriptor:
    """Put a document of any fields into a store."""
    found, raw = make_document({"schemaVersion": 2, "mediaType": media_type, **fields})
    store.push(found, given(raw))
    return found


def image_for(store: Store, platform: str, *layers: bytes, **more: Any) -> Descriptor:
    """Put an image for a platform into a store; its descriptor says so, as an index would."""
    wanted = parse_platform(platform)
    config = put(store, msgspec.json.encode(wanted), OCI_CONFIG)
    held = [put(store, layer) for layer in layers or (platform.encode() * 50, b"shared by all" * 50)]
    found = document(store, OCI_MANIFEST, config=config, layers=held, **more)
    return msgspec.structs.replace(found, platform=wanted)


def index(store: Store, *entries: Descriptor, **more: Any) -> Descriptor:
    """Put an index into a store."""
    return document(store, OCI_INDEX, manifests=entries, **more)


def referrer(store: Store, subject: Descriptor, kind: str, **more: Any) -> Descriptor:
    """Put a signature, an SBOM or the like of `subject` into a store."""
    empty = put(store, b"{}", OCI_EMPTY)
    held = put(store, f"{kind} of {subject.digest}".encode(), "text/plain")
    fields = {"artifactType": kind, "config": empty, "layers": [held], "subject": subject}
    return document(store, OCI_MANIFEST, **fields, **more)
