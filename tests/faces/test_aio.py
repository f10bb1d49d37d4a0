"""The client for asyncio: the same answers, many at once, and a cancelled task ends what ran for it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import dockless
from dockless.faces.aio import AsyncClient
from dockless.faces.client import Client
from dockless.faces.server.app import EmbeddedRegistry
from dockless.model.descriptor import describe
from dockless.model.digest import digest_of
from dockless.model.documents import make_document
from dockless.model.media_types import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST
from dockless.stores.repositories import MemoryRepositories
from dockless.testing.peer import Peer, Reply, json_reply
from tests.faces.places import LAYERS, layout
from tests.scripted import QUICK

SHORT = msgspec.structs.replace(QUICK, idle_timeout=1.0)
TAGS = "/v2/a/tags/list"


@pytest.fixture
def there() -> Iterator[str]:
    with EmbeddedRegistry(MemoryRepositories()) as server:
        yield server.host


@pytest.fixture
def here(tmp_path: Path) -> str:
    return layout(tmp_path / "here")


def ours() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "dockless"}


def end(threads: set[threading.Thread], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while alive := {one for one in threads if one.is_alive()}:
        assert time.monotonic() < until, alive
        time.sleep(0.02)


def run(main: Callable[[AsyncClient], Awaitable[Any]], settings: dockless.Settings = QUICK) -> Any:
    async def with_client() -> Any:
        async with AsyncClient(settings) as client:
            return await main(client)

    return asyncio.run(with_client())


def test_every_verb_of_the_client_is_there() -> None:
    verbs = {name for name in vars(Client) if not name.startswith("_")}
    assert verbs == {name for name in vars(AsyncClient) if not name.startswith("_")}


def test_the_same_answers(there: str, here: str, tmp_path: Path) -> None:
    async def main(client: AsyncClient) -> None:
        copied = await client.push(f"{here}:1.0", f"{there}/a:1")
        root = copied.root.digest
        assert (await client.copy(f"{there}/a:1", f"{there}/b:1")).mounted == 4
        assert (await client.pull(f"{there}/a:1", f"oci:{tmp_path / 'out'}")).blobs == 4
        assert await client.digest(f"{there}/a:1") == root
        assert (await client.resolve(f"{there}/a:1")).digest == root
        assert (await client.manifest(f"{there}/a:1")).descriptor.digest == root
        assert (await client.image(f"{there}/a:1", "linux/arm64")).root.digest == root
        assert (await client.inspect(f"{there}/a:1")).digest == root
        assert (await client.validate(f"{there}/a:1")).ok
        assert await client.tag(f"{there}/a:1", "2") == root
        assert sorted(await client.tags(f"{there}/a")) == ["1", "2"]
        assert [row.digest for row in await client.tag_table(f"{there}/a")] == [root, root]
        await client.untag(f"{there}/a:2")
        assert (await client.delete(f"{there}/a@{root}")).digest == root
        assert await client.catalog(there) == ["a", "b"]
        assert (await client.ping(there)).v2 is not None
        blob = f"{there}/b@{digest_of(LAYERS[0])}"
        assert (await client.download(blob, tmp_path / "blob")).size == len(LAYERS[0])
        async with client.blob(blob) as reader:
            assert reader.size == len(LAYERS[0])
            assert await reader.read(10) == LAYERS[0][:10]
            assert b"".join([chunk async for chunk in reader]) == LAYERS[0][10:]

    run(main)


def test_an_error_is_the_clients(there: str) -> None:
    async def main(client: AsyncClient) -> None:
        with pytest.raises(dockless.NotFound):
            await client.digest(f"{there}/a:1")
        with pytest.raises(dockless.InvalidReference):
            await client.digest("~")
        with pytest.raises(dockless.NotFound):
            async with client.blob(f"{there}/a@{digest_of(b'')}"):
                pass

    run(main)


def test_many_at_once() -> None:
    with Peer() as peer:
        met = threading.Barrier(20)

        def meet(_: object) -> Reply:
            met.wait(20)  # nobody is answered before all have asked
            return json_reply({"name": "a", "tags": ["1"]})

        peer.on(TAGS, meet)

        async def main(client: AsyncClient) -> list[list[str]]:
            return await asyncio.gather(*(client.tags(f"{peer.host}/a") for _ in range(20)))

        assert run(main) == [["1"]] * 20


def test_the_loop_goes_on_meanwhile() -> None:
    with Peer() as peer:
        asked, go = threading.Event(), threading.Event()

        def answer(_: object) -> Reply:
            asked.set()
            go.wait(20)
            return json_reply({"name": "a", "tags": ["1"]})

        peer.on(TAGS, answer)

        async def main(client: AsyncClient) -> None:
            task = asyncio.create_task(client.tags(f"{peer.host}/a"))
            while not asked.is_set():
                await asyncio.sleep(0.01)
            assert not task.done()
            go.set()
            assert await task == ["1"]

        run(main)


class TestCancelling:
    def test_before_an_answer_it_returns_at_once_and_the_thread_ends(self) -> None:
        before = ours()
        with Peer() as peer:
            peer.on(TAGS, Reply(stall_after=-1))

            async def main(client: AsyncClient) -> set[threading.Thread]:
                task = asyncio.create_task(client.tags(f"{peer.host}/a"))
                while not peer.faults:
                    await asyncio.sleep(0.01)
                threads = ours() - before
                started = time.monotonic()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert time.monotonic() - started < 0.5
                return threads

            threads = run(main, SHORT)
            assert threads
            assert peer.faults == ["stall before answer"]
            end(threads)

    @pytest.mark.parametrize("kind", ["oci", "oci-archive"])
    def test_in_the_middle_of_a_pull_nothing_wrong_is_left(self, tmp_path: Path, kind: str) -> None:
        content = bytes(range(256)) * 8000
        wanted = digest_of(content)
        before = ours()
        config = describe(b"{}", OCI_CONFIG)
        layer = describe(content, OCI_LAYER)
        found, raw = make_document({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]})
        with Peer() as peer:
            headers = (("Content-Type", found.media_type), ("Docker-Content-Digest", found.digest))
            for method in ("GET", "HEAD"):
                peer.on("/v2/a/manifests/1", Reply(body=raw, headers=headers), method=method)
            peer.on(f"/v2/a/blobs/{config.digest}", Reply(body=b"{}"))
            whole = Reply(body=content, ranges=True)
            peer.on(f"/v2/a/blobs/{wanted}", replace(whole, stall_after=1_000_000), whole)
            end_place = f"{kind}:{tmp_path / 'out'}:1"

            async def cancelled(client: AsyncClient) -> set[threading.Thread]:
                task = asyncio.create_task(client.pull(f"{peer.host}/a:1", end_place))
                while not peer.faults:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)
                threads = ours() - before
                started = time.monotonic()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert time.monotonic() - started < 0.5
                return threads

            end(run(cancelled, SHORT))
            assert "stall after 1000000" in peer.faults
            out = tmp_path / "out"
            assert not out.is_file()
            assert not (out / "index.json").exists()
            for path in out.rglob("sha256/*"):
                assert digest_of(path.read_bytes()) == f"sha256:{path.name}"

            async def again(client: AsyncClient) -> None:
                assert (await client.pull(f"{peer.host}/a:1", end_place)).root == found

            run(again)
            ranges = [one.header("Range") for one in peer.requests if one.path.endswith(wanted)]
            assert (ranges[-1] is not None) is (kind == "oci")  # the layout went on where it was

    def test_what_goes_on_and_on_ends_too(self, tmp_path: Path) -> None:
        content = bytes(100_000)
        before = ours()
        with Peer() as peer:
            path = f"/v2/a/blobs/{digest_of(content)}"
            peer.on(path, Reply(body=content), method="HEAD")
            peer.on(path, Reply(body=content, drip=0.01))  # a quarter of an hour

            async def main(client: AsyncClient) -> set[threading.Thread]:
                task = asyncio.create_task(client.download(f"{peer.host}/a@{digest_of(content)}", tmp_path / "blob"))
                while not peer.faults:
                    await asyncio.sleep(0.01)
                threads = ours() - before
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                return threads

            end(run(main), 5)
            assert peer.faults == ["drip"]
        assert not (tmp_path / "blob").exists()

    def test_of_one_leaves_the_others(self) -> None:
        with Peer() as peer:
            peer.on(TAGS, Reply(stall_after=-1))
            peer.on("/v2/b/tags/list", json_reply({"name": "b", "tags": ["1"]}))

            async def main(client: AsyncClient) -> None:
                stalled = asyncio.create_task(client.tags(f"{peer.host}/a"))
                while not peer.faults:
                    await asyncio.sleep(0.01)
                stalled.cancel()
                assert await client.tags(f"{peer.host}/b") == ["1"]

            run(main, SHORT)

    def test_a_timeout_is_a_cancellation(self) -> None:
        with Peer() as peer:
            peer.on(TAGS, Reply(stall_after=-1))

            async def main(client: AsyncClient) -> None:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await client.tags(f"{peer.host}/a")

            run(main, SHORT)
            assert peer.faults

    def test_a_blob_that_is_left_halfway_is_closed(self) -> None:
        content = bytes(3_000_000)
        with Peer() as peer:
            peer.on(f"/v2/a/blobs/{digest_of(content)}", Reply(body=content))
            peer.on(f"/v2/a/blobs/{digest_of(content)}", Reply(body=content), method="HEAD")

            async def main(client: AsyncClient) -> None:
                async with client.blob(f"{peer.host}/a@{digest_of(content)}") as reader:
                    assert await reader.read(10) == bytes(10)

            run(main)
