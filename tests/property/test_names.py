"""References and locations: what is valid is read back as it was written, and no text brings anything worse along."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from dockless.model.digest import Digest
from dockless.model.errors import InvalidReference
from dockless.model.image_id import ImageId
from dockless.model.location import ArchiveLocation, RegistryLocation, V1Location, parse_location
from dockless.model.printable import is_printable
from dockless.model.reference import Reference, is_registry, parse_reference

thoroughly = settings(deadline=None, max_examples=150)


def matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern, fullmatch=True)


hexadecimal = st.sampled_from("0123456789abcdef")
names = st.lists(matching(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,6}[A-Za-z0-9])?"), min_size=2, max_size=4).map(".".join)
addresses = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map("[{}]".format)
ports = st.integers(1, 65535).map(":{}".format) | st.just("")
registries = (
    st.builds("{}{}".format, names | addresses | st.just("localhost"), ports)
    .filter(lambda registry: not registry.endswith("docker.io"))
    .filter(is_registry)  # a name that ends in a number must be an address
)
components = matching(r"[a-z0-9]{1,4}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}")
repositories = st.lists(components, min_size=1, max_size=4).map("/".join)
hub_repositories = st.lists(components, min_size=2, max_size=4).map("/".join)
tags = matching(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}")
digests = st.builds("sha256:{}".format, st.text(hexadecimal, min_size=64, max_size=64)).map(Digest) | st.builds(
    "sha512:{}".format, st.text(hexadecimal, min_size=128, max_size=128)
).map(Digest)
places = st.tuples(registries, repositories) | st.tuples(st.just("docker.io"), hub_repositories)
labels = st.tuples(tags, st.none()) | st.tuples(st.none(), digests) | st.tuples(tags, digests)
references = st.builds(lambda place, label: Reference(*place, *label), places, labels)

image_ids = (st.text(hexadecimal, min_size=16, max_size=16) | st.text(hexadecimal, min_size=64, max_size=64)).map(
    ImageId
)
v1_components = matching(r"[A-Za-z0-9._-]{1,6}").filter(lambda component: component not in {".", ".."})
v1_repositories = st.lists(v1_components, min_size=1, max_size=8).map("/".join)
v1_locations = (
    st.builds(V1Location, registries)
    | st.builds(V1Location, registries, v1_repositories, st.none() | tags)
    | st.builds(V1Location, registries, v1_repositories, st.none(), image_ids)
)
segments = st.text(st.characters(exclude_characters=":/\\\0", codec="utf-8"), min_size=1, max_size=8)
paths = st.builds(
    lambda start, parts, slash: start + slash.join(parts),
    st.sampled_from(["", "/", "./", "C:/", "d:\\"]),
    st.lists(segments, min_size=1, max_size=4),
    st.sampled_from(["/", "\\", ":x/"]),
).filter(is_printable)
plain_paths = st.lists(segments, min_size=1, max_size=4).map("/".join).filter(is_printable)
archive_locations = st.builds(
    ArchiveLocation, st.sampled_from(["oci", "oci-archive"]), paths, st.none() | tags, st.none() | digests
) | st.builds(
    ArchiveLocation,
    st.just("docker-archive"),
    plain_paths,
    st.none() | references.filter(lambda reference: reference.digest is None).map(str),
    st.none() | digests,
)

near_misses = st.text("aB0.:/@-_[]% \\\0\n\x1b", max_size=24)
anything = st.text() | near_misses


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A valid text with something put in where it may not belong."""
    text = draw(texts)
    cut = draw(st.integers(0, len(text)))
    return (
        text[:cut]
        + draw(st.sampled_from(["..", "/", "//", ":", "@", "\0", "\n", "\x1b", "/../", "A", "."]))
        + text[cut:]
    )


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(character) == "Cc" for character in text) and ".." not in text.split("/")


@thoroughly
@given(references)
def test_a_reference_is_read_back_as_it_was_written(reference: Reference) -> None:
    assert parse_reference(str(reference)) == reference


@thoroughly
@given(anything | damaged(references.map(str)))
def test_a_text_is_a_harmless_reference_or_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidReference:
        return
    assert is_harmless(str(reference))
    assert is_registry(reference.registry)
    assert parse_reference(str(reference)) == reference


@thoroughly
@given(references.map(RegistryLocation) | v1_locations | archive_locations)
def test_a_location_is_read_back_as_it_was_written(location: RegistryLocation | V1Location | ArchiveLocation) -> None:
    assert parse_location(str(location)) == location


@thoroughly
@given(references)
def test_a_reference_is_a_location_with_and_without_its_scheme(reference: Reference) -> None:
    assert parse_location(str(reference)) == parse_location(f"docker://{reference}") == RegistryLocation(reference)


@thoroughly
@given(st.sampled_from(["", "docker://", "v1:"]), anything | damaged(v1_locations.map(lambda where: str(where)[3:])))
def test_a_text_is_a_harmless_place_in_a_registry_or_refused(scheme: str, text: str) -> None:
    try:
        location = parse_location(scheme + text)
    except InvalidReference:
        return
    assert is_harmless(str(location).removeprefix("v1:"))
    assert parse_location(str(location)) == location


@thoroughly
@given(st.sampled_from(["oci:", "oci-archive:", "docker-archive:"]), anything | damaged(plain_paths))
def test_a_text_is_a_path_on_this_machine_or_refused(scheme: str, text: str) -> None:
    try:
        location = parse_location(scheme + text)
    except InvalidReference:
        return
    assert isinstance(location, ArchiveLocation)
    assert location.path
    assert "\0" not in location.path
    assert parse_location(str(location)) == location


@thoroughly
@given(st.sampled_from(["", "v1:", "oci:"]), st.text(st.characters(categories=["Cc", "Cs", "L", "P"])))
def test_the_refusal_of_a_text_drives_no_terminal(scheme: str, text: str) -> None:
    words = ""
    try:
        parse_location(f"{scheme}{text}:")  # a tag is missing, whatever else is wrong
    except InvalidReference as refusal:
        words = str(refusal)
    assert words.startswith("not a ")
    assert words.isprintable()
