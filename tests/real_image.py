"""Images that nobody here wrote, made by umoci, and the programs that read and write them.

`make_small_image` is quick; `make_real_image` adds Debian's own root file system, in layers that delete, replace and
link.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dockless.faces.client import Client
from dockless.model.media_types import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST
from tests.require import absent

PLATFORMS = ("amd64", "arm64", "riscv64")
ARCHITECTURES = PLATFORMS[:2]  # that there are images for
SBOM = "application/spdx+json"

_ROOTLESS = () if hasattr(os, "geteuid") and os.geteuid() == 0 else ("--rootless",)


def run(program: str, *arguments: object) -> str:
    """Run a program and return what it wrote; fail with its own words."""
    path = shutil.which(program) or absent(f"{program}: no such program")
    done = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"{program} {arguments}: {done.stderr}"
    return done.stdout


def skopeo_copy(source: str, destination: str, *more: str) -> None:
    """Let skopeo copy, over plain HTTP where it is a registry."""
    run("skopeo", "copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false", *more, source, destination)


class Podman:
    """podman with a storage of its own."""

    def __init__(self, storage: Path) -> None:
        self._options = ("--root", storage / "root", "--runroot", storage / "run", "--storage-driver", "vfs")

    def __call__(self, *arguments: object) -> str:
        """Run it and return what it wrote."""
        return run("podman", *self._options, *arguments)

    def config_digest(self, name: str) -> str:
        """Return the id of an image, which is its config's digest."""
        return f"sha256:{self('image', 'inspect', '--format', '{{.Id}}', name).strip()}"

    def inspect(self, name: str) -> dict[str, Any]:
        """Return what it knows of an image."""
        (image,) = json.loads(self("image", "inspect", name))
        assert isinstance(image, dict)
        return image


@contextmanager
def podman() -> Iterator[Podman]:
    """Give podman a storage, as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="p") as storage:  # a run root may have fifty characters
        program = Podman(Path(storage))
        yield program
        program("rmi", "--all", "--force")  # files of owners that only podman may remove, unless this is root


class Seen(NamedTuple):
    """What an image is, to whoever looks: the digests of its parts, layers base first."""

    manifest: str
    config: str
    layers: list[str]
    diff_ids: list[str]
    history: list[str]


class Blobs:
    """A layout, or what skopeo wrote as `dir:`, read with nothing but the standard library."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, digest: str) -> bytes:
        """Return content, whose digest is checked."""
        encoded = digest.removeprefix("sha256:")
        for name in (f"blobs/sha256/{encoded}", encoded, f"{encoded}.manifest.json", "manifest.json"):
            path = self.directory / name
            if path.exists() and digest_of(content := path.read_bytes()) == digest:
                return content
        raise AssertionError(f"{digest} is not in {self.directory}")

    def tag(self, name: str) -> str:
        """Return the digest that a layout's tag names."""
        listed = json.loads((self.directory / "index.json").read_bytes())["manifests"]
        (digest,) = (
            one["digest"]
            for one in listed
            if one.get("annotations", {}).get("org.opencontainers.image.ref.name") == name
        )
        assert isinstance(digest, str)
        return digest

    def tagged(self, name: str) -> list[Seen]:
        """Return the images that a layout's tag names."""
        return self.images(self.tag(name))

    def check_nothing_else(self) -> None:
        """Fail if there is more in a layout than its documents and complete blobs."""
        blobs = list((self.directory / "blobs/sha256").iterdir())
        assert all(digest_of(path.read_bytes()) == f"sha256:{path.name}" for path in blobs)
        others = {path for path in self.directory.rglob("*") if path.is_file()} - set(blobs)
        assert {path.name for path in others} == {"index.json", "oci-layout"}

    def images(self, digest: str) -> list[Seen]:
        """Return the image of that digest, or those of an index; every byte of them is read."""
        document = json.loads(self.read(digest))
        if "manifests" in document:
            return [image for one in document["manifests"] for image in self.images(one["digest"])]
        config = json.loads(self.read(document["config"]["digest"]))
        for one in (document["config"], *document["layers"]):
            assert len(self.read(one["digest"])) == one["size"]
        return [
            Seen(
                digest,
                document["config"]["digest"],
                [one["digest"] for one in document["layers"]],
                config["rootfs"]["diff_ids"],
                [step.get("created_by", "") for step in config["history"]],
            )
        ]


def contents(images: list[Seen]) -> list[tuple[str, list[str], list[str]]]:
    """Return what stays when layers are packed anew and manifests rewritten: configs, diff ids, histories."""
    return [(one.config, one.diff_ids, one.history) for one in images]


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def seen_by_skopeo(source: str) -> list[Seen]:
    """Return the images of a place, as skopeo copies them without changing a byte; the first digest is the root's."""
    with tempfile.TemporaryDirectory() as directory:
        skopeo_copy(source, f"dir:{directory}", "--all", "--preserve-digests")
        return Blobs(Path(directory)).images(digest_of((Path(directory) / "manifest.json").read_bytes()))


def unpacked_by_skopeo(archive: str) -> list[tuple[str, list[str], list[str]]]:
    """Return the contents of an image in a docker-archive; every layer of it is read and is what its diff id says."""
    (seen,) = seen_by_skopeo(archive)
    assert seen.layers == seen.diff_ids
    return contents([seen])


def seen_by_us(location: str) -> list[Seen]:
    """Return the images of a place, as dockless copies them into a layout that is then read without it."""
    with tempfile.TemporaryDirectory() as directory, Client() as client:
        report = client.validate(location)
        assert report.ok, report
        layout = Path(directory) / "layout"
        copied = client.copy(location, f"oci:{layout}:seen")
        assert copied.root.digest == client.digest(location) == Blobs(layout).tag("seen")
        Blobs(layout).check_nothing_else()
        return Blobs(layout).tagged("seen")


def raw_by_skopeo(source: str) -> bytes:
    """Return the manifest or index of a place."""
    more = ["--tls-verify=false"] if source.startswith("docker://") else []
    return run("skopeo", "inspect", "--raw", *more, source).encode()


def make_small_image(layout: Path) -> None:
    """Make a layout with the tags `amd64`, `arm64` and `all`, an index of both, which an SBOM refers to."""
    run("umoci", "init", "--layout", layout)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for architecture in ARCHITECTURES:
            image = f"{layout}:{architecture}"
            run("umoci", "new", "--image", image)
            _write(root / architecture, {"etc/name": architecture, "etc/motd": "hello", "doc/old": "old " * 9999})
            _insert(image, root / architecture, "/")
            _insert(image, "/etc/motd", how="--whiteout")
            _write(root / "doc", {"new": f"new {architecture}"})
            _insert(image, root / "doc", "/doc", how="--opaque")
            _configure(image, architecture)
    add_index(layout, "all", platforms(layout, *ARCHITECTURES))


def make_real_image(layout: Path, work: Path) -> Path:
    """Add `real` to a layout, Debian's root file system, and `both`, an index of it and of arm64; return its files.

    What `work` is left with is the root file system as umoci must unpack it.
    """
    archive = work / "base.tar"
    program = shutil.which("mmdebstrap") or absent("mmdebstrap: no such program")
    command = [program, "--quiet", "--variant=minbase", "bookworm", str(archive)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if made.returncode != 0:  # no mirror to be reached, or no right to it
        absent(f"mmdebstrap: {made.stderr[-300:]}")
    image, bundle = f"{layout}:real", work / "bundle"
    run("umoci", "new", "--image", image)
    run("umoci", "unpack", *_ROOTLESS, "--image", image, bundle)
    files = bundle / "rootfs"
    no_devices = ("--exclude=./dev/*",) if _ROOTLESS else ()
    run("tar", "--extract", "--numeric-owner", "--file", archive, "--directory", files, *no_devices)
    archive.unlink()
    repack = ("umoci", "repack", "--refresh-bundle", "--image", image)
    run(*repack, "--history.created_by", "mmdebstrap", bundle)

    shutil.rmtree(files / "usr/share/locale")
    (files / "etc/issue").unlink()
    (files / "etc/debian-release").symlink_to("os-release")
    (files / "usr/bin/perl-again").hardlink_to(files / "usr/bin/perl")
    run(*repack, "--history.created_by", "change", bundle)

    shutil.rmtree(files / "usr/share/doc")
    _write(files / "usr/share/doc", {"README": "Nothing else is left.\n"})
    _insert(image, files / "usr/share/doc", "/usr/share/doc", how="--opaque")
    _configure(image, "amd64")
    add_index(layout, "both", platforms(layout, "real", "arm64"))
    return files


def platforms(layout: Path, *tags: str) -> list[dict[str, Any]]:
    """Return entries of an index: the images of some tags, for one platform after the other."""
    return [
        {
            "mediaType": OCI_MANIFEST,
            "digest": (digest := Blobs(layout).tag(tag)),
            "size": len(Blobs(layout).read(digest)),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for tag, architecture in zip(tags, PLATFORMS, strict=False)
    ]


def tree(root: Path) -> Mapping[str, tuple[object, ...]]:
    """Return what is in a directory: kinds, modes, owners, contents, and what is linked to what."""
    found: dict[str, tuple[object, ...]] = {}
    first: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        name, is_ = str(path.relative_to(root)), path.lstat()
        content: object = None
        if stat.S_ISLNK(is_.st_mode):
            content = path.readlink()
        elif stat.S_ISREG(is_.st_mode):
            content = first.setdefault(is_.st_ino, name), hashlib.sha256(path.read_bytes()).digest()
        found[name] = is_.st_mode, is_.st_uid, is_.st_gid, is_.st_rdev, content
    return found


def unpack(image: str, bundle: Path) -> Path:
    """Let umoci unpack `LAYOUT:TAG`; return its root file system."""
    run("umoci", "unpack", *_ROOTLESS, "--image", image, bundle)
    return bundle / "rootfs"


def _write(root: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def _insert(image: str, *what: object, how: str = "") -> None:
    rootless, options = _ROOTLESS, [how] if how else []
    run("umoci", "insert", *rootless, "--image", image, "--history.created_by", f"insert {how}", *options, *what)


def _configure(image: str, architecture: str) -> None:
    config = ("--config.env", "A=b c", "--config.entrypoint", "/bin/sh", "--config.label", "org.example.kind=real")
    history = ("--history.created_by", "configure", "--history.comment", "no layer")
    run("umoci", "config", "--image", image, "--architecture", architecture, "--os", "linux", *config, *history)


def add_index(layout: Path, tag: str, manifests: list[dict[str, Any]]) -> None:
    """List an index in a layout, by hand, and an SBOM that refers to it."""
    index = _put(layout, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}, OCI_INDEX)
    sbom = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": SBOM,
        "config": _put(layout, {}, OCI_EMPTY),
        "layers": [_put(layout, {"name": tag}, SBOM)],
        "subject": index,
    }
    path = layout / "index.json"
    body = json.loads(path.read_bytes())
    body["manifests"] += [
        index | {"annotations": {"org.opencontainers.image.ref.name": tag}},
        _put(layout, sbom, OCI_MANIFEST) | {"artifactType": SBOM},
    ]
    path.write_text(json.dumps(body))


def _put(layout: Path, document: object, media_type: str) -> dict[str, Any]:
    content = json.dumps(document, indent=1).encode()
    digest = digest_of(content)
    (layout / "blobs" / digest.replace(":", "/")).write_bytes(content)
    return {"mediaType": media_type, "digest": digest, "size": len(content)}
