"""Reading from Debian's docker-registry, open, with Basic, with tokens that it checks itself, and over TLS."""

import base64
import gzip
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from dockless.model.descriptor import Descriptor, describe
from dockless.model.documents import make_document
from dockless.model.errors import NetworkFault, NotFound, Unauthorized
from dockless.model.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from dockless.net.session import Session
from dockless.net.settings import Settings
from dockless.stores.registry.client import Ping, RegistryClient
from dockless.stores.registry.repository import Repository
from dockless.testing.contract import got
from dockless.testing.peer import Peer, Received, Reply, json_reply
from dockless.wire.auth import Credential
from dockless.wire.http import Request
from dockless.wire.stream import CheckedReader, promise_of, pump
from tests.debian_registry import DebianRegistry
from tests.require import absent
from tests.tls import Authority

ANN = Credential("ann", "secret")
HTPASSWD = "ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n"
BLOB = gzip.compress(os.urandom(3_000_000), 1)  # skopeo would pack what is not
LAYER = describe(BLOB, OCI_LAYER_GZIP)
CONFIG_RAW = b'{"architecture":"amd64","os":"linux"}'
CONFIG = describe(CONFIG_RAW, OCI_CONFIG)
IMAGE, IMAGE_RAW = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG, "layers": [LAYER]})
INDEX, INDEX_RAW = make_document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [IMAGE]})


def layout(directory: Path) -> Path:
    """Write INDEX and what is below it as an OCI layout, for skopeo to push."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for descriptor, raw in ((LAYER, BLOB), (CONFIG, CONFIG_RAW), (IMAGE, IMAGE_RAW), (INDEX, INDEX_RAW)):
        (blobs / descriptor.digest.partition(":")[2]).write_bytes(raw)
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    top: dict[str, Any] = {"mediaType": OCI_INDEX, "digest": INDEX.digest, "size": INDEX.size}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    return directory


def skopeo(*arguments: str) -> None:
    program = shutil.which("skopeo")
    if program is None:
        absent("skopeo: no such program")
    subprocess.run([program, *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module", name="registry")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRegistry]:
    with DebianRegistry(tmp_path_factory.mktemp("registry")) as registry:
        source = layout(tmp_path_factory.mktemp("layout"))
        for name in ("deep/er/image:1.0", "deep/er/image:latest", "other:x"):
            target = f"docker://{registry.host}/{name}"
            skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{source}", target)
        yield registry


@pytest.fixture(name="there")
def opened(registry: DebianRegistry) -> Iterator[Repository]:
    with closing(Session(Settings())) as session:
        yield RegistryClient(session, registry.url).repository("deep/er/image")


def checked(there: Repository, wanted: Descriptor) -> bytes:
    content = bytearray()
    with closing(CheckedReader(promise_of(wanted), lambda offset: there.fetch(wanted, offset))) as reader:
        pump(reader, content.extend)
    return bytes(content)


class TestOpen:
    def test_it_speaks_v2(self, there: Repository) -> None:
        assert there.client.ping() == Ping()

    def test_what_skopeo_pushed_is_resolved_and_read(self, there: Repository) -> None:
        assert there.resolve("1.0") == there.resolve(INDEX.digest) == INDEX
        assert there.fetch_named("latest") == (INDEX, INDEX_RAW)
        assert there.fetch_named(IMAGE.digest) == (IMAGE, IMAGE_RAW)
        for wanted, raw in ((INDEX, INDEX_RAW), (IMAGE, IMAGE_RAW), (CONFIG, CONFIG_RAW), (LAYER, BLOB)):
            assert there.exists(wanted)
            assert checked(there, wanted) == raw

    @pytest.mark.parametrize("offset", [1, len(BLOB) // 2, len(BLOB) - 1, len(BLOB)])
    def test_a_blob_is_read_from_an_offset(self, there: Repository, offset: int) -> None:
        assert got(there, LAYER, offset) == BLOB[offset:]

    def test_what_is_not_there(self, there: Repository) -> None:
        other = describe(b"other", OCI_LAYER_GZIP)
        assert not there.exists(other)
        assert not there.exists(describe(b"other", OCI_MANIFEST))
        with pytest.raises(NotFound, match="BLOB_UNKNOWN"):
            there.fetch(other)
        with pytest.raises(NotFound, match="MANIFEST_UNKNOWN"):
            there.fetch_named("none")
        with pytest.raises(NotFound):
            there.resolve("none")
        with pytest.raises(NotFound, match="NAME_UNKNOWN"):
            list(there.client.repository("none").tags())

    @pytest.mark.parametrize("page", [0, 1, 2, 100])
    def test_tags_and_repositories_are_listed(self, there: Repository, page: int) -> None:
        assert sorted(there.tags(page)) == ["1.0", "latest"]
        assert sorted(there.client.catalog()) == ["deep/er/image", "other"]

    def test_a_blob_is_known_by_its_digest_alone(self, there: Repository) -> None:
        assert there.find_blob(LAYER.digest).size == LAYER.size


def test_basic(tmp_path: Path) -> None:
    """The registry takes bcrypt only; this one is of `ann` and `secret`."""
    users = tmp_path / "htpasswd"
    users.write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "r", "path": str(users)}}
    with DebianRegistry(tmp_path, auth=auth) as registry, closing(Session(Settings())) as session:
        client = RegistryClient(session, registry.url, ANN)
        assert client.ping() == Ping(("basic",))
        assert list(client.catalog()) == []
        with pytest.raises(NotFound, match="NAME_UNKNOWN"):
            list(client.repository("a").tags())
        for wrong in (None, Credential("ann", "wrong")):
            with pytest.raises(Unauthorized, match="UNAUTHORIZED"):
                list(RegistryClient(session, registry.url, wrong).catalog())


class Signer:
    """A token service whose tokens the registry checks: RS256, with the certificate beside (`x5c`)."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.RSA)
        leaf = authority.issue_cert("tokens.test", key_type=trustme.KeyType.RSA)
        self.bundle = directory / "tokens.pem"
        authority.cert_pem.write_to_path(self.bundle)
        key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        self._certificate = "".join(leaf.cert_chain_pems[0].bytes().decode().splitlines()[1:-1])

    def give(self, request: Received) -> Reply:
        """Answer a request for a token with one for just what it asks."""
        asked = parse_qs(urlsplit(request.target).query)
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in asked.get("scope", []))
        ]
        now = int(time.time())
        times = {"exp": now + 300, "nbf": now - 10, "iat": now}
        claims = {"iss": "us", "sub": "", "aud": asked["service"][0], "jti": "1", "access": access, **times}
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self._certificate]}
        signed = f"{_base64(json.dumps(head).encode())}.{_base64(json.dumps(claims).encode())}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return json_reply({"token": f"{signed}.{_base64(signature)}", "expires_in": 300})


def test_tokens(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    with Peer() as service:
        service.on("/token", signer.give)
        auth = {
            "realm": f"{service.url}/token",
            "service": "debian's registry",
            "issuer": "us",
            "rootcertbundle": str(signer.bundle),
        }
        with DebianRegistry(tmp_path, auth={"token": auth}) as registry, closing(Session(Settings())) as session:
            client = RegistryClient(session, registry.url)
            assert client.ping() == Ping(("bearer",))
            repository = client.repository("a/b")
            assert not repository.exists(LAYER)
            with pytest.raises(NotFound, match="MANIFEST_UNKNOWN"):
                repository.fetch_named("1")
            assert [parse_qs(urlsplit(one.target).query)["scope"] for one in service.requests] == [
                ["repository:a/b:pull"]
            ]
            assert list(client.catalog()) == []
            assert not client.repository("c").exists(LAYER)
            assert len(service.requests) == 3


def test_tls_with_a_private_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.files(tmp_path)
    tls = {"tls": {"certificate": str(certificate), "key": str(key)}}
    with DebianRegistry(tmp_path, http=tls) as registry:
        with closing(Session(Settings(ca_file=str(authority.file)))) as session:
            assert list(RegistryClient(session, registry.url).catalog()) == []
        with (
            closing(Session(Settings(connect_timeout=2))) as session,
            pytest.raises(NetworkFault, match=r"(?i)certificate"),
        ):
            RegistryClient(session, registry.url).ask(
                Request("/v2/"), lambda response: response.close(), scope="", repeat=False
            )


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
