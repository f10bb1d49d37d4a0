"""Manifests of Docker's schema 1: what of them is signed, what is read, and what is refused."""

from typing import Any

import msgspec
import pytest

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest, digest_of
from dockless.model.errors import ChecksumMismatch, InvalidDocument
from dockless.model.media_types import DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED
from dockless.model.schema1 import parse_schema1, signed_part
from tests.schema1_manifests import ancestry, base64url, body, protected, signed, unsigned, with_signatures

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
IMAGES = ancestry(A, B, C, architecture="arm", throwaway=True)

# As Debian's docker-registry 2.8.2 serves what skopeo 1.9.3 wrote, byte for byte.
REAL = (
    rb'{"name":"demo","tag":"1","architecture":"amd64","fsLayers":[{"blobSum":"sha256:bc775e885b1142f007afe73dba6696e'
    rb'a0e9062fc91243da99b5880edece7af6c"},{"blobSum":"sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c2'
    rb'2955b46d4"},{"blobSum":"sha256:4acf410c0f2e9e2db06006592959f1549cb4d5df683013a835ad74c270ac1a19"},{"blobSum":"'
    rb'sha256:cdfca41423f689d664dc7fe83181aa27d7ae4267081bf48e8906c43483f0ae73"}],"history":[{"v1Compatibility":"{\"a'
    rb"rchitecture\":\"amd64\",\"config\":{\"Env\":[\"A=b\"],\"Cmd\":[\"sh\"]},\"created\":\"2020-01-01T00:00:03Z\","
    rb"\"id\":\"6ca864ccf97d728c74c762049e302e4269074863f43ce77218e5b1d612a63299\",\"os\":\"linux\",\"parent\":\"69a7"
    rb'4dda12ee3e7d5b57eba6952172678df9824781892ad20dfc8e35883bd6cc\"}"},{"v1Compatibility":"{\"id\":\"69a74dda12ee3e'
    rb"7d5b57eba6952172678df9824781892ad20dfc8e35883bd6cc\",\"parent\":\"8510fd4e23eeecbf47278c0b2e3a671e169def3ca263"
    rb"3ea3e2488d47d55b7ad0\",\"created\":\"2020-01-01T00:00:01Z\",\"container_config\":{\"Cmd\":[\"ENV A=b\"]},\"thr"
    rb'owaway\":true}"},{"v1Compatibility":"{\"id\":\"8510fd4e23eeecbf47278c0b2e3a671e169def3ca2633ea3e2488d47d55b7ad'
    rb"0\",\"parent\":\"f1aba49209b06f94af058ef9dfbf03cb089c1355f04c36fae8df1ac022c19414\",\"created\":\"2020-01-01T0"
    rb'0:00:01Z\",\"container_config\":{\"Cmd\":[\"ADD layer 1\"]}}"},{"v1Compatibility":"{\"id\":\"f1aba49209b06f94a'
    rb"f058ef9dfbf03cb089c1355f04c36fae8df1ac022c19414\",\"created\":\"2020-01-01T00:00:00Z\",\"container_config\":{"
    rb'\"Cmd\":[\"ADD layer 0\"]}}"}],"schemaVersion":1,"signatures":[{"header":{"jwk":{"crv":"P-256","kid":"Y22G:RQC'
    rb'2:PBFF:MKGD:HNVT:DDC4:JQDG:YNYW:QNO2:ZF7G:6O7I:JJMW","kty":"EC","x":"JyulbnbP8GprUUgxo3JYFtXnHg1SEYKJ8gzfhx1Zq'
    rb'wk","y":"AQ12HIOy4P8_xc0egSbnDBDZqHwscipQtVjv9jEydks"},"alg":"ES256"},"signature":"6yAkOuUEWRWd17lKuHLk9iPO_DB'
    rb'8_Ioeo1uB747EOilh6bzDGKcauR-psnazOe5-6lt5YE5CWiOwRBDNBpqvwg","protected":"eyJmb3JtYXRMZW5ndGgiOjE0NzYsImZvcm1h'
    rb'dFRhaWwiOiJmUSIsInRpbWUiOiIyMDI2LTExLTI1VDAyOjA3OjE2WiJ9"}]}'
)
REAL_DIGEST = Digest("sha256:b80056abe3cd99fcc39ddffcf3d520ce48d359740d0cb39f826844d8c5370c07")


def changed(images: list[Any], number: int, **fields: Any) -> dict[str, Any]:
    """Return a manifest one of whose images, counted from the base, has other fields."""
    return body([(digest, {**v1, **fields} if one == number else v1) for one, (digest, v1) in enumerate(images)])


def test_a_manifest_is_read_base_first() -> None:
    descriptor, raw = unsigned(body(IMAGES, strange=[1]))
    manifest = parse_schema1(descriptor, raw)

    assert (manifest.name, manifest.tag, manifest.architecture) == ("library/demo", "1", "amd64")
    assert [layer.digest for layer in manifest.layers] == [A, B, C]
    assert [layer.throwaway for layer in manifest.layers] == [False, False, True]
    assert [msgspec.json.decode(layer.v1) for layer in manifest.layers] == [fields for _, fields in IMAGES]
    assert (manifest.descriptor, manifest.raw) == (descriptor, raw)


@pytest.mark.parametrize("times", [1, 2])
def test_the_digest_of_a_signed_one_leaves_the_signatures_out(times: int) -> None:
    descriptor, raw = signed(body(IMAGES), times=times)
    manifest = parse_schema1(descriptor, raw)

    assert [layer.digest for layer in manifest.layers] == [A, B, C]
    assert manifest.raw == raw
    assert digest_of(signed_part(raw)) == descriptor.digest != digest_of(raw)


def test_one_that_is_stored_with_its_signatures_is_known_by_all_bytes() -> None:
    _, raw = signed(body(IMAGES))

    assert len(parse_schema1(Descriptor(DOCKER_SCHEMA1_SIGNED, digest_of(raw), len(raw)), raw).layers) == 3


def test_a_real_one_is_read() -> None:
    manifest = parse_schema1(Descriptor(DOCKER_SCHEMA1_SIGNED, REAL_DIGEST, len(REAL)), REAL)

    assert (manifest.name, manifest.tag, manifest.architecture) == ("demo", "1", "amd64")
    assert [layer.throwaway for layer in manifest.layers] == [False, False, True, False]
    assert b'"throwaway":true' in manifest.layers[2].v1


@pytest.mark.parametrize("make", [unsigned, signed])
def test_another_digest_is_refused(make: Any) -> None:
    descriptor, raw = make(body(IMAGES))
    other = Descriptor(descriptor.media_type, Digest("sha256:" + "0" * 64), len(raw))

    with pytest.raises(ChecksumMismatch, match=f"{descriptor.digest} came") as caught:
        parse_schema1(other, raw)
    assert caught.value.hint


def test_what_is_not_signed_is_not_read() -> None:
    descriptor, raw = signed(body(IMAGES))
    smuggled = raw[:-1] + b', "fsLayers": [], "name": "other"}'

    assert parse_schema1(descriptor, smuggled).name == "library/demo"


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("!", "is not base64"),
        ("A", "is not base64"),
        ("é", "is not base64"),
        (base64url(b"[]"), "is not what it should be"),
        (base64url(b'{"formatLength": 1}'), "is not what it should be"),
        (base64url(b'{"formatLength": 1, "formatTail": "!"}'), "is not base64"),
        (protected(-1, b""), "covers -1 bytes"),
        (protected(9999, b""), "covers 9999 bytes"),
        (protected(1, b""), "is not what it should be"),
        (1, "is not what it should be"),
    ],
)
def test_a_signature_that_covers_nothing_is_refused(header: Any, words: str) -> None:
    raw = with_signatures(b'{"schemaVersion": 1\n}', header)

    with pytest.raises(InvalidDocument, match=words):
        parse_schema1(Descriptor(DOCKER_SCHEMA1_SIGNED, digest_of(raw), len(raw)), raw)


def test_signatures_that_do_not_agree_are_refused() -> None:
    payload = b'{"schemaVersion": 1\n}'

    with pytest.raises(InvalidDocument, match="do not agree"):
        signed_part(with_signatures(payload, protected(len(payload) - 2, b"\n}"), protected(1, b"}")))


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (body(IMAGES, schemaVersion=2), "is of schema 2, and came as"),
        (body(IMAGES, fsLayers=[]), "has 0 layers and 3 images"),
        (body(IMAGES, fsLayers=[], history=[]), "has 0 layers and 0 images"),
        (body(IMAGES * 1366), "has 4098 layers and 4098 images; there must be as many, and 4096 at most"),
        (body([("sha256:x", IMAGES[0][1])]), "by something that is not a digest"),
        (body(IMAGES, history=[{"v1Compatibility": "[]"}] * 3), "an image of the manifest .* is not what it should be"),
        (body(IMAGES, history=[{"v1Compatibility": "{}"}] * 3), "an image of the manifest .* is not what it should be"),
        (body([(A, {"id": "../x"})]), "do not stand on each other"),
        (changed(IMAGES, 0, parent="f" * 64), "do not stand on each other"),
        (changed(IMAGES, 1, parent="f" * 64), "do not stand on each other"),
        (changed(IMAGES, 2, parent=None), "do not stand on each other"),
        (changed(IMAGES, 2, id=IMAGES[0][1]["id"]), "do not stand on each other"),
    ],
)
def test_what_is_no_such_manifest_is_refused(manifest: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidDocument, match=words):
        parse_schema1(*unsigned(manifest))


def test_an_image_that_comes_twice_in_a_row_counts_once() -> None:
    base, *rest = IMAGES
    manifest = parse_schema1(*unsigned(body([base, (B, base[1]), *rest])))

    assert [layer.digest for layer in manifest.layers] == [A, B, C]


def test_no_json_is_refused() -> None:
    for raw in (b"", b"[]", b"{}"):
        with pytest.raises(InvalidDocument, match="is not what it should be"):
            parse_schema1(Descriptor(DOCKER_SCHEMA1, digest_of(raw), len(raw)), raw)
