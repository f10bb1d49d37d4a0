"""Content put into an embedded registry by plain requests."""

import hashlib
import json
import time
from typing import Any
from urllib.parse import urlencode

from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from tests.asking import Answer, ask

CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
LAYER = b"a layer " * 100


def digest(content: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def described(content: bytes, media_type: str = OCI_LAYER, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **more}


def manifest(config: bytes = CONFIG, /, *layers: bytes, **more: Any) -> bytes:
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described(config, OCI_CONFIG)}
    return json.dumps({**body, "layers": [described(layer) for layer in layers], **more}).encode()


def index(*manifests: bytes, **more: Any) -> bytes:
    listed = [described(one, OCI_MANIFEST) for one in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed, **more}).encode()


def put_blob(registry: EmbeddedRegistry, name: str, content: bytes) -> str:
    """Push a blob in one request; return its digest."""
    answer = ask(registry, f"/v2/{name}/blobs/uploads/?{urlencode({'digest': digest(content)})}", "POST", content)
    assert answer.status == 201, answer
    return digest(content)


def put_manifest(
    registry: EmbeddedRegistry,
    name: str,
    reference: str,
    raw: bytes,
    media_type: str = OCI_MANIFEST,
    *,
    query: str = "",
) -> Answer:
    return ask(registry, f"/v2/{name}/manifests/{reference}{query}", "PUT", raw, Content_Type=media_type)


def put_image(registry: EmbeddedRegistry, name: str, tag: str, *layers: bytes, **more: Any) -> bytes:
    """Push an image; return its manifest."""
    for blob in (CONFIG, *layers):
        put_blob(registry, name, blob)
    raw = manifest(CONFIG, *layers, **more)
    assert put_manifest(registry, name, tag, raw).status == 201
    return raw


def begin(registry: EmbeddedRegistry, name: str = "a/b", query: str = "") -> str:
    """Begin an upload; return where it is."""
    answer = ask(registry, f"/v2/{name}/blobs/uploads/{query}", "POST", b"")
    assert answer.status == 202, answer
    return str(answer.headers["Location"])


def codes(answer: Answer) -> list[str]:
    """Return the codes of an error, whose form is checked."""
    errors = json.loads(answer.body)["errors"]
    assert all(error.keys() == {"code", "message", "detail"} and error["message"] for error in errors)
    return [error["code"] for error in errors]


def wait_for_range(registry: EmbeddedRegistry, where: str, least: int) -> int:
    """Wait until an upload has the byte `least`; return how many it has."""
    for _ in range(100):
        if (last := int(ask(registry, where).headers["Range"][2:])) >= least:
            return last + 1
        time.sleep(0.02)
    raise AssertionError("nothing arrived")
