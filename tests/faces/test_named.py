"""What callers name places by, and what a copy is called where it arrives."""

from pathlib import Path

import pytest

from dockless.faces.named import location_of, required_digest, source_name, target_name
from dockless.model.errors import InvalidReference
from dockless.model.location import ArchiveLocation, Location, parse_location

DIGEST = f"sha256:{'1' * 64}"
ID = "0" * 64
NAMELESS = ArchiveLocation("oci", "nameless")


@pytest.mark.parametrize(
    ("location", "source", "target", "required"),
    [
        ("h.example/a:1", "1", "1", None),
        ("h.example/a", "latest", "latest", None),
        (f"h.example/a@{DIGEST}", DIGEST, DIGEST, DIGEST),
        (f"h.example/a:1@{DIGEST}", DIGEST, "1", DIGEST),
        ("oci:a", "", "", None),
        ("oci:a:1", "1", "1", None),
        (f"oci:a:1@{DIGEST}", DIGEST, "1", DIGEST),
        ("docker-archive:a:b:1", "b:1", "b:1", None),
        ("v1:h.example/a", "latest", "latest", None),
        ("v1:h.example/a:1", "1", "1", None),
        (f"v1:h.example/a@{'0' * 64}", "0" * 64, "latest", None),
    ],
)
def test_what_a_location_names(location: str, source: str, target: str, required: str | None) -> None:
    found: Location = parse_location(location)
    assert (source_name(found), target_name(found, NAMELESS), required_digest(found)) == (source, target, required)


@pytest.mark.parametrize(
    ("source", "layout", "archive"),
    [
        ("h.example/a/b:1", "1", "h.example/a/b:1"),
        ("a", "latest", "docker.io/library/a:latest"),
        (f"h.example/a:1@{DIGEST}", "1", "h.example/a:1"),
        (f"h.example/a@{DIGEST}", "", ""),
        ("v1:h.example/a:1", "1", "h.example/a:1"),
        ("v1:h.example/a", "latest", "h.example/a:latest"),
        (f"v1:h.example/a@{ID}", ID, ""),
        ("oci:d:1", "1", ""),
        ("oci-archive:f", "", ""),
        (f"oci:d@{DIGEST}", "", ""),
        ("docker-archive:f:a:1", "1", "a:1"),
        ("docker-archive:f:h.example/a/b", "latest", "h.example/a/b"),
        ("docker-archive:f:@0", "", ""),
        ("docker-archive:f", "", ""),
    ],
)
def test_what_has_no_name_takes_over_the_source_s(source: str, layout: str, archive: str) -> None:
    found = parse_location(source)
    assert target_name(parse_location("oci:to"), found) == layout
    assert target_name(parse_location("oci-archive:to"), found) == layout
    assert target_name(parse_location("docker-archive:to"), found) == archive
    assert target_name(parse_location("docker-archive:to:own:2"), found) == "own:2"
    assert target_name(parse_location("oci:to:own"), found) == "own"


def test_the_path_ends_where_something_is_there(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d:e").mkdir()
    named = ArchiveLocation("oci", f"{tmp_path}/d", "example.com/a:1")
    assert location_of(str(named)) == named
    assert location_of(f"oci:{tmp_path}/d:e:x/y:1") == ArchiveLocation("oci", f"{tmp_path}/d:e", "x/y:1")
    assert location_of(f"oci:{tmp_path}/d@{DIGEST}") == ArchiveLocation("oci", f"{tmp_path}/d", None, DIGEST)  # type: ignore[arg-type]
    assert location_of(f"oci:{tmp_path}/none:x/y:1") == ArchiveLocation("oci", f"{tmp_path}/none:x/y", "1")
    assert location_of(named) is named
    with pytest.raises(InvalidReference):
        location_of("oci:")
