"""The library as its users type it: never run, checked by `mypy --strict`."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, assert_type

import msgspec

import dockless
from dockless import v1
from dockless.model.errors import DocklessError
from dockless.model.events import BlobAdvanced, BlobFinished, BlobStarted, Event, Notice, Retrying
from dockless.model.image_id import ImageId


class Wanted(msgspec.Struct):
    """A user's own type for an image's JSON."""

    id: str
    os: str = "linux"


@dataclass
class AlsoWanted:
    """Another one."""

    id: str


def an_image(image: v1.Image) -> None:
    assert_type(v1.get_image("library/alpine"), v1.Image)
    assert_type(v1.get_image("library/alpine", "https://registry.example"), v1.Image)
    with image as entered:
        assert_type(entered, v1.Image)
    assert_type(image.name, str)
    assert_type(image.status, int)
    assert_type(image.tags(), list[str])
    assert_type(image.tag_ids(), dict[str, str])
    assert_type(image.tag_layer_id("latest"), ImageId)
    assert_type(image.authorization_header, str)
    assert_type(image.cookie("https://registry.example"), str)
    assert_type(image.close(), None)


def metadata(image: v1.Image) -> None:
    assert_type(image.metadata("latest"), v1.V1ImageConfig)
    assert_type(image.metadata("latest", v1.V1ImageConfig), v1.V1ImageConfig)
    assert_type(image.metadata("latest", Wanted), Wanted)
    assert_type(image.metadata("latest", into=Wanted).os, str)
    assert_type(image.metadata("latest", AlsoWanted), AlsoWanted)
    assert_type(image.metadata("latest", into=dict[str, Any]), dict[str, Any])
    assert_type(image.metadata("latest", dict[str, object]), dict[str, object])
    assert_type(image.metadata_bytes("0" * 64), bytes)


def our_own_metadata(config: v1.V1ImageConfig) -> None:
    assert_type(config.raw, bytes)
    assert_type(config.id, str | None)
    assert_type(config.created, str | None)
    assert_type(config.size, int | None)
    assert_type(config.config, v1.V1Config | None)
    if config.config is not None:
        assert_type(config.config.cmd, list[str] | str | None)
        assert_type(config.config.env, list[str] | None)
        assert_type(config.config.labels, dict[str, str] | None)


def history(image: v1.Image) -> None:
    assert_type(image.history("latest"), list[ImageId])
    assert_type(image.ancestry("0" * 64), list[ImageId])
    for image_id in image.history("latest"):
        assert_type(image.layer_urls(image_id), list[str])  # what one method gives another takes
        image.layer_reader(image_id)
        image.download(image_id, "layer")


def layer(image: v1.Image, out: BinaryIO) -> None:
    with image.layer_reader("0" * 64) as reader:
        assert_type(reader, v1.LayerReader)
        assert_type(reader.size, int | None)
        assert_type(reader.readinto(bytearray(10)), int)
        assert_type(reader.readinto(memoryview(bytearray(10))), int)
        assert_type(reader.readall(), bytes)
        assert_type(len(reader.read(10) or b""), int)
        shutil.copyfileobj(reader, out)
        buffered = io.BufferedReader(reader)
        assert_type(buffered.read(), bytes)
        with tarfile.open(fileobj=buffered, mode="r|*") as tar:
            assert_type(tar, tarfile.TarFile)
        with tarfile.open(fileobj=reader, mode="r|*") as tar:
            assert_type(tar, tarfile.TarFile)


def downloads(image: v1.Image) -> None:
    done = image.download("0" * 64, Path("layer"))
    assert_type(done, v1.Downloaded)
    assert_type(done.path, Path)
    assert_type(done.size, int)
    assert_type(done.verified, bool)
    pulled = image.download_image("latest", "directory")
    assert_type(pulled, v1.Pulled)
    assert_type(pulled.ids, tuple[ImageId, ...])
    assert_type(pulled.unverified, tuple[ImageId, ...])
    assert_type(pulled.present, tuple[ImageId, ...])
    assert_type(image.download_image("latest", Path("directory"), jobs=8), v1.Pulled)
    assert_type(image.download_by_id("0" * 64, "directory", tag="1.0", jobs=8), v1.Pulled)


def summary(image: v1.Image) -> None:
    found = image.inspect("0" * 64)
    assert_type(found, v1.ImageSummary)
    assert_type(found.size, int | None)
    assert_type(found.config, v1.V1ImageConfig)
    assert_type(found.layers, tuple[v1.LayerSummary, ...])
    assert_type(found.layers[0].command, str)
    assert_type(found.layers[0].checksum, str | None)


def registries() -> None:
    assert_type(v1.DOCKER_HUB, str)
    ping = v1.ping("https://registry.example", credential=v1.Credential("me", "word"))
    assert_type(ping, v1.Ping)
    assert_type(ping.standalone, bool)
    assert_type(ping.version, str | None)
    assert_type(v1.search("alpine"), Iterator[v1.SearchResult])
    for result in v1.search("alpine", "https://registry.example", settings=v1.Settings()):
        assert_type(result.name, str)
        assert_type(result.description, str | None)


def settings() -> None:
    tuned = v1.Settings(
        connect_timeout=1,
        idle_timeout=2.5,
        retry=v1.RetryPolicy(attempts=1),
        proxies=v1.Proxies(http="http://proxy.example:3128"),
        ca_file="ca.pem",
        trusted_endpoints=frozenset({"registry.example"}),
    )
    assert_type(tuned.idle_timeout, float)
    v1.get_image("a/b", credential=v1.Credential("me", "word"), settings=tuned, observe=observe)
    v1.get_image("a/b", observe=print)


def observe(event: Event) -> None:
    match event:
        case BlobStarted():
            assert_type(event.offset, int)
        case BlobAdvanced():
            assert_type(event.done, int)
        case BlobFinished():
            assert_type(event.verified, bool | None)
        case Retrying():
            assert_type(event.pause, float)
        case Notice():
            assert_type(event.text, str)


def errors(image: v1.Image) -> None:
    try:
        image.tag_layer_id("latest")
    except dockless.NotFound as error:
        assert_type(error.status, int | None)
        assert_type(error.hint, str)
        assert_type(error.exit_code, int)
        assert_type(error.causes, tuple[tuple[str, DocklessError], ...])
    except dockless.RateLimited as limited:
        assert_type(limited.retry_after, float | None)
    except (dockless.ChecksumMismatch, dockless.SizeMismatch) as mismatch:
        assert_type(isinstance(mismatch, dockless.VerificationFailed), bool)


def the_rest_of_the_public_names() -> None:
    assert_type(dockless.__version__, str)
    assert_type(dockless.v1.get_image("a/b"), v1.Image)
    dockless.parse_location("v1:registry.example/a/b:1")
    dockless.parse_reference("alpine")


def a_client(out: BinaryIO) -> None:
    credentials = {"registry.example": dockless.Credential("me", "word")}
    settings = dockless.Settings(plain_http=True, proxies=dockless.Proxies(), retry=dockless.RetryPolicy(attempts=1))
    with dockless.Client(settings, credentials=credentials, observe=observe, cache=Path("cache")) as client:
        assert_type(client, dockless.Client)
        assert_type(client.tags("alpine"), Iterator[str])
        assert_type(client.tag_table("alpine", platform="linux/amd64"), Iterator[dockless.TagRow])
        assert_type(client.digest("alpine", "linux/amd64"), str)
        assert_type(client.resolve("alpine", dockless.Platform(os="linux", architecture="amd64")), dockless.Descriptor)
        assert_type(client.validate("oci:alpine", deep=False, jobs=2), dockless.Report)
        assert_type(client.validate("oci:alpine").findings, tuple[dockless.Finding, ...])
        assert_type(client.tag("alpine:1", "2", "3"), str)
        assert_type(client.untag("alpine:1"), None)
        assert_type(client.delete("alpine@sha256:…"), dockless.Descriptor)
        assert_type(client.ping("registry.example"), dockless.Protocols)
        assert_type(client.catalog("registry.example"), Iterator[str])
        assert_type(client.download("alpine@sha256:…", Path("blob")), dockless.Descriptor)
        with client.blob("alpine@sha256:…") as blob:
            assert_type(blob, dockless.BlobReader)
            shutil.copyfileobj(blob, out)


def copies(client: dockless.Client) -> None:
    copied = dockless.copy("alpine", "oci:alpine", platforms="linux/amd64", referrers=True, clobber=False, jobs=8)
    assert_type(copied, dockless.Copied)
    assert_type(copied.root, dockless.Descriptor)
    assert_type((copied.blobs, copied.bytes, copied.mounted, copied.present), tuple[int, int, int, int])
    location: dockless.Location = dockless.parse_location("oci:alpine")
    assert_type(client.copy(location, "registry.example/a", to=client, dry_run=True), dockless.Copied)
    assert_type(client.pull("alpine"), dockless.Copied)
    assert_type(client.pull("alpine", "oci:here", platforms=["linux/amd64", "linux/arm64"]), dockless.Copied)
    assert_type(client.push("oci:alpine", "registry.example/a:1"), dockless.Copied)
    client.push("oci:alpine", "registry.example/a:1", platform="linux/amd64")  # type: ignore[call-arg]
    try:
        client.pull("alpine")
    except dockless.CopyFault as fault:
        assert_type(fault.side, str)
        assert_type(fault.descriptor, dockless.Descriptor | None)


def documents(client: dockless.Client) -> None:
    match client.manifest("alpine"):
        case dockless.Index() as index:
            assert_type(index.manifests, tuple[dockless.Descriptor, ...])
        case dockless.Manifest() as manifest:
            assert_type(manifest.layers, tuple[dockless.Descriptor, ...])
            assert_type(manifest.raw, bytes)
        case dockless.Opaque():
            pass
    image = client.image("alpine")
    assert_type(image, dockless.Image)
    assert_type(image.config, dockless.ImageConfig | None)
    assert_type(image.layers, tuple[dockless.ImageLayer, ...])
    assert_type(image.history, tuple[dockless.History, ...])
    assert_type(client.inspect("alpine"), dockless.ImageSummary)
    assert_type(client.inspect("alpine").platforms, tuple[dockless.PlatformSummary, ...])
    assert_type(client.inspect("alpine").layers, tuple[dockless.LayerSummary, ...])


async def an_async_client() -> None:
    async with dockless.AsyncClient(observe=observe) as client:
        assert_type(client, dockless.AsyncClient)
        assert_type(client.client, dockless.Client)
        assert_type(await client.copy("alpine", "oci:alpine", jobs=8), dockless.Copied)
        assert_type(await client.tags("alpine"), list[str])
        assert_type(await client.digest("alpine"), str)
        assert_type(await client.ping("registry.example"), dockless.Protocols)
        async with client.blob("alpine@sha256:…") as blob:
            assert_type(blob, dockless.AsyncBlobReader)
            assert_type(await blob.read(10), bytes)
            async for chunk in blob:
                assert_type(chunk, bytes)


def public_events(event: dockless.Event) -> None:
    match event:
        case dockless.BlobQueued() | dockless.BlobMounted():
            assert_type(event.size, int)
        case dockless.BlobFinished():
            assert_type(event.verified, bool | None)
        case dockless.BlobStarted() | dockless.BlobAdvanced() | dockless.Retrying() | dockless.Notice():
            pass
    observer: dockless.Observer = public_events
    dockless.Client(observe=observer)


def a_v1_image_checked(image: v1.Image) -> None:
    checked = image.validate("0" * 64, jobs=2)
    assert_type(checked, v1.CheckedImage)
    assert_type(checked.layers, tuple[v1.CheckedLayer, ...])
    assert_type(checked.ok, bool)
