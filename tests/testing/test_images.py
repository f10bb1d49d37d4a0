"""The made-up images are what Docker would have pushed, and the same each time."""

import gzip
import hashlib
import io
import json
import tarfile

from dockless.model.image_id import is_image_id
from dockless.testing.images import MadeImage, demo_images, make_image

BASE = {"etc/os-release": b"ID=demo\n", "etc/motd": b"hello\n"}
TOP = {"usr/bin/run": b"#!/bin/sh\n", "etc/.wh.motd": b""}


def members(image: MadeImage) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(image.layer)) as tar:
        return {member.name: member for member in tar}


def test_the_newest_comes_first_and_names_its_parent() -> None:
    top, base = make_image(BASE, TOP)

    assert json.loads(top.raw)["parent"] == base.id
    assert "parent" not in json.loads(base.raw)
    assert [json.loads(image.raw)["id"] for image in (top, base)] == [top.id, base.id]
    assert all(is_image_id(image.id) for image in (top, base))


def test_the_json_has_the_fields_of_docker_in_its_order() -> None:
    document = json.loads(make_image(BASE, TOP)[0].raw)

    assert list(document) == [
        "id", "parent", "created", "container", "container_config", "docker_version", "author", "config",
        "architecture", "os", "Size",
    ]  # fmt: skip
    assert document["Size"] == len(TOP["usr/bin/run"])
    assert document["config"]["Entrypoint"] == ["/usr/bin/demo"]
    assert document["config"]["Cmd"] == ["world"]
    assert document["config"]["Env"][1] == "NAME=demo"
    assert document["config"]["Labels"] == {"com.example.name": "demo"}


def test_a_layer_is_a_tar_with_directories_before_files() -> None:
    found = members(make_image(BASE, TOP)[0])

    assert list(found) == ["etc", "etc/.wh.motd", "usr", "usr/bin", "usr/bin/run"]
    assert found["usr/bin"].isdir()
    assert (found["usr/bin/run"].mode, found["etc/.wh.motd"].mode) == (0o755, 0o644)
    assert {member.mtime for member in found.values()} == {1420070400}


def test_a_layer_holds_the_contents_whatever_their_length() -> None:
    contents = {f"file-{size}": b"x" * size for size in (0, 1, 511, 512, 513, 100_000)} | {"deep/" * 60 + "file": b"y"}
    (image,) = make_image(contents)

    with tarfile.open(fileobj=io.BytesIO(image.layer)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        assert {name: file.read() for name, file in files.items() if file is not None} == contents


def test_the_layer_without_files_is_dockers_empty_layer() -> None:
    assert make_image({})[0].layer == bytes(1024)


def test_the_same_input_makes_the_same_bytes() -> None:
    assert make_image(BASE, TOP, compress=True) == make_image(BASE, TOP, compress=True)
    assert make_image(BASE, dict(reversed(TOP.items()))) == make_image(BASE, TOP)


def test_other_input_makes_other_ids() -> None:
    variants = [
        make_image(BASE, TOP),
        make_image(BASE, TOP, name_seed="other"),
        make_image(BASE, TOP, compress=True),
        make_image({**BASE, "etc/motd": b"bye\n"}, TOP),  # another base alone gives another top
    ]

    assert len({images[0].id for images in variants}) == 4


def test_equal_layers_of_one_image_have_ids_of_their_own() -> None:
    assert len({image.id for image in make_image(BASE, BASE, {}, {})}) == 4


def test_a_compressed_layer_is_the_same_tar_in_gzip_without_a_time() -> None:
    plain, packed = make_image(BASE)[0], make_image(BASE, compress=True)[0]

    assert gzip.decompress(packed.layer) == plain.layer
    assert packed.layer[4:8] == bytes(4)


def test_the_checksum_covers_json_newline_and_layer() -> None:
    (image,) = make_image(BASE)

    assert image.checksum == "sha256:" + hashlib.sha256(image.raw + b"\n" + image.layer).hexdigest()


def test_the_demo_is_a_base_a_library_and_an_application() -> None:
    application, library, base = demo_images()

    assert "etc/os-release" in members(base)
    assert "usr/lib/greeting.sh" in members(library)
    assert members(application)["usr/bin/demo"].mode == 0o755
    assert "etc/.wh.motd" in members(application)
    assert "etc/motd" in members(base)
