"""Locations: one syntax for every place."""

import pytest

from dockless.model.digest import Digest
from dockless.model.errors import InvalidReference
from dockless.model.image_id import ImageId
from dockless.model.location import (
    ArchiveKind,
    ArchiveLocation,
    Location,
    RegistryLocation,
    V1Location,
    is_v1_repository,
    parse_location,
)
from dockless.model.reference import Reference

SHORT = ImageId("0123456789abcdef")
LONG = ImageId(SHORT * 4)
DIGEST = Digest(f"sha256:{LONG}")


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a", Reference("docker.io", "library/a", "latest")),
        ("docker://a", Reference("docker.io", "library/a", "latest")),
        ("docker://v1:t", Reference("docker.io", "library/v1", "t")),
        ("h:5000/a:t", Reference("h:5000", "a", "t")),
        ("docker://[::1]:5000/a", Reference("[::1]:5000", "a", "latest")),
        (f"r.example/a:t@{DIGEST}", Reference("r.example", "a", "t", DIGEST)),
        ("v1", Reference("docker.io", "library/v1", "latest")),
        ("oci", Reference("docker.io", "library/oci", "latest")),
        ("docker-archive", Reference("docker.io", "library/docker-archive", "latest")),
        ("oci/a:t", Reference("docker.io", "oci/a", "t")),
    ],
)
def test_without_a_scheme_of_its_own_it_is_a_place_in_a_v2_registry(text: str, reference: Reference) -> None:
    assert parse_location(text) == RegistryLocation(reference)


@pytest.mark.parametrize("text", ["", "V1:t/a", "OCI:d", "docker://", "docker://docker://a", "http://r.example/a"])
def test_what_is_no_reference_and_has_no_known_scheme_is_no_location(text: str) -> None:
    with pytest.raises(InvalidReference, match="not a reference"):
        parse_location(text)


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("v1:a", V1Location("index.docker.io", "a")),
        ("v1:a:t", V1Location("index.docker.io", "a", "t")),
        ("v1:a/b:1.0", V1Location("index.docker.io", "a/b", "1.0")),
        ("v1:my.name:latest", V1Location("index.docker.io", "my.name", "latest")),
        (f"v1:a@{SHORT}", V1Location("index.docker.io", "a", None, SHORT)),
        ("v1:r.example/a", V1Location("r.example", "a")),
        ("v1:h:5000/a/b:t", V1Location("h:5000", "a/b", "t")),
        ("v1:localhost/a:t", V1Location("localhost", "a", "t")),
        ("v1:[::1]:5000/a:t", V1Location("[::1]:5000", "a", "t")),
        (f"v1:h:5000/a/b@{LONG}", V1Location("h:5000", "a/b", None, LONG)),
        ("v1:r.example/A/b-/c_/.d/e..f/...", V1Location("r.example", "A/b-/c_/.d/e..f/...")),
        ("v1:r.example/" + "/".join("abcdefgh"), V1Location("r.example", "a/b/c/d/e/f/g/h")),
        ("v1:r.example/" + "a" * 128, V1Location("r.example", "a" * 128)),
        ("v1:r.example", V1Location("r.example")),
        ("v1:localhost", V1Location("localhost")),
        ("v1:localhost:5000", V1Location("localhost:5000")),
        ("v1:[2001:db8::1]:5000", V1Location("[2001:db8::1]:5000")),
    ],
)
def test_a_place_in_a_v1_registry_is_read_and_written_in_full(text: str, location: V1Location) -> None:
    assert parse_location(text) == location
    assert parse_location(str(location)) == location


@pytest.mark.parametrize(
    "text",
    [
        "v1:/",
        "v1:/a",
        "v1::t",
        "v1:r.example/:t",
        "v1:r.example/a:",
        "v1:r.example/a:-t",
        "v1:r.example/a:t\n",
        "v1:r.example/a//b",
        "v1:r.example/a/",
        "v1:r.example/a b",
        "v1:r.example/a\n",
        "v1:r.example/a\0",
        "v1:r.example/a%2fb",
        "v1:r.example/a\\b",
        "v1:r.example/a?b",
        "v1:r.example/a#b",
        "v1:r.example/.",
        "v1:r.example/..",
        "v1:r.example/a/../b",
        "v1:r.example/../../etc",
        "v1:../a",
        "v1:r.example/" + "a" * 129,
        "v1:r.example/" + "/".join("abcdefghi"),
        "v1:r..example/a",
        "v1:h:0/a",
        "v1:h:70000/a",
        "v1:-r.example/a",
        "v1:http://r.example/a",
        "v1:r.example/a@",
        "v1:r.example/a@0123456789ab",
        f"v1:r.example/a@{LONG.upper()}",
        f"v1:r.example/a@{LONG}\n",
        f"v1:r.example/a@{DIGEST}",
        f"v1:r.example/a:t@{SHORT}",
        f"v1:r.example/a:@{SHORT}",
        f"v1:r.example@{SHORT}",
        f"v1:@{SHORT}",
    ],
)
def test_what_would_change_a_path_or_a_url_is_no_place_in_a_v1_registry(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_location(text)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (V1Location("h:1"), "v1:h:1/"),
        (V1Location("h:1", "a"), "v1:h:1/a"),
        (V1Location("h:1", "a", "t"), "v1:h:1/a:t"),
        (V1Location("h:1", "a", None, SHORT), f"v1:h:1/a@{SHORT}"),
        (RegistryLocation(Reference("h:1", "a", "t", DIGEST)), f"h:1/a:t@{DIGEST}"),
        (ArchiveLocation("oci", "d"), "oci:d"),
        (ArchiveLocation("oci-archive", "C:\\f.tar", "t"), "oci-archive:C:\\f.tar:t"),
        (ArchiveLocation("docker-archive", "f", "h:1/a:t"), "docker-archive:f:h:1/a:t"),
        (ArchiveLocation("oci", "d", None, DIGEST), f"oci:d@{DIGEST}"),
        (ArchiveLocation("oci-archive", "a@b", "t", DIGEST), f"oci-archive:a@b:t@{DIGEST}"),
        (ArchiveLocation("oci", "@sha256", LONG[1:]), f"oci:@sha256:{LONG[1:]}"),
        (ArchiveLocation("oci", "@sha256", LONG), f"oci:@sha256:{LONG}"),
    ],
)
def test_a_location_is_written_as_it_is_read(location: Location, text: str) -> None:
    assert str(location) == text
    assert parse_location(text) == location


@pytest.mark.parametrize(
    ("rest", "path", "name"),
    [
        ("d", "d", None),
        ("c:t", "c", "t"),
        ("d/e:t", "d/e", "t"),
        ("./d:1.0", "./d", "1.0"),
        ("/a:b/c", "/a:b/c", None),
        ("/a:b/c:t", "/a:b/c", "t"),
        ("a:b:t", "a:b", "t"),
        ("a:b\\c", "a:b\\c", None),
        ("C:\\d", "C:\\d", None),
        ("C:\\d:t", "C:\\d", "t"),
        ("c:/d:t", "c:/d", "t"),
        ("C:/", "C:/", None),
        ("C:\\a:b\\c:t", "C:\\a:b\\c", "t"),
        ("d e", "d e", None),
    ],
)
@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
def test_the_path_of_a_layout_ends_at_the_last_colon_without_a_slash_after(
    kind: ArchiveKind, rest: str, path: str, name: str | None
) -> None:
    assert parse_location(f"{kind}:{rest}") == ArchiveLocation(kind, path, name)


@pytest.mark.parametrize(
    ("rest", "path", "name"),
    [
        ("f.tar", "f.tar", None),
        ("f.tar:a:t", "f.tar", "a:t"),
        ("/d/f.tar:h:5000/a:t", "/d/f.tar", "h:5000/a:t"),
        ("C:\\f.tar:h:5000/a:t", "C:\\f.tar", "h:5000/a:t"),
        ("c:/f.tar", "c:/f.tar", None),
        ("c:a/b", "c", "a/b"),
    ],
)
def test_the_path_of_a_docker_archive_ends_at_the_first_colon(rest: str, path: str, name: str | None) -> None:
    assert parse_location(f"docker-archive:{rest}") == ArchiveLocation("docker-archive", path, name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("oci:", "the path is missing"),
        ("oci::t", "the path is missing"),
        ("oci:a\0b", "the path is missing"),
        ("oci-archive:", "the path is missing"),
        ("docker-archive::a:t", "the path is missing"),
        ("oci:d:", "a tag is missing"),
        ("oci:C:", "a tag is missing"),
        ("oci-archive:C:\\f.tar:", "a tag is missing"),
        ("v1:-r.example/a", "'-r.example' is not a registry"),
        ("v1:r.example/..", "'..' is not a repository name"),
        ("v1:a:-t", "'-t' is not a tag"),
        (f"v1:a:t@{SHORT}", "with no tag before it"),
    ],
)
def test_the_refusal_says_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_location(text)

    assert reason in str(caught.value)
    assert caught.value.hint


def test_the_refusal_of_a_hostile_text_is_harmless_and_short() -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_location("v1:r.example/\x1b[31m" + "b" * 100_000)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("text", "expected"), [("a", True), ("A_/b-", True), ("", False), ("a/..", False)])
def test_a_v1_repository_has_harmless_components(text: str, expected: bool) -> None:
    assert is_v1_repository(text) is expected
