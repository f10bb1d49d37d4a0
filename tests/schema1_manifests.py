"""Manifests of Docker's schema 1, made up: signed in the shape of libtrust, by nobody."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from dockless.model.descriptor import Descriptor
from dockless.model.digest import digest_of
from dockless.model.media_types import DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED

Image = tuple[str, dict[str, Any]]  # the digest of a layer, and the fields of its v1 JSON


def ancestry(*layers: str, **top: Any) -> list[Image]:
    """Return images with these layers, base first, each standing on the one before; `top` goes into the newest."""
    images: list[Image] = []
    for number, digest in enumerate(layers, 1):
        parent = {"parent": images[-1][1]["id"]} if images else {}
        command = {"container_config": {"Cmd": [f"ADD layer {number}"]}}
        images.append(
            (digest, {"id": f"{number:064x}", **parent, "created": f"2015-01-01T00:00:0{number}Z", **command})
        )
    images[-1][1].update(top)
    return images


def body(images: Sequence[Image], **more: Any) -> dict[str, Any]:
    """Return a manifest of images that come base first."""
    return {
        "schemaVersion": 1,
        "name": "library/demo",
        "tag": "1",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": digest} for digest, _ in reversed(images)],
        "history": [{"v1Compatibility": json.dumps(fields)} for _, fields in reversed(images)],
        **more,
    }


def unsigned(manifest: dict[str, Any]) -> tuple[Descriptor, bytes]:
    """Return a manifest that is not signed, as a registry gives it."""
    raw = json.dumps(manifest).encode()
    return Descriptor(DOCKER_SCHEMA1, digest_of(raw), len(raw)), raw


def signed(manifest: dict[str, Any], *, times: int = 1) -> tuple[Descriptor, bytes]:
    """Return a signed manifest as a registry gives it: the digest leaves the signatures out, the size does not."""
    payload = json.dumps(manifest, indent=3).encode()
    raw = with_signatures(payload, *[protected(len(payload) - 2, payload[-2:])] * times)
    return Descriptor(DOCKER_SCHEMA1_SIGNED, digest_of(payload), len(raw)), raw


def protected(length: int, tail: bytes) -> str:
    """Return what a signature says it covers."""
    return base64url(json.dumps({"formatLength": length, "formatTail": base64url(tail)}).encode())


def with_signatures(payload: bytes, *headers: Any) -> bytes:
    """Return a payload that ends in a newline and a brace with signatures before these."""
    signatures = [{"header": {}, "signature": "", "protected": one} for one in headers]
    return payload[:-2] + b',\n   "signatures": ' + json.dumps(signatures).encode() + payload[-2:]


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
