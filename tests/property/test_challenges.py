"""Challenges from anywhere: nothing but challenges comes out, and what was written is read."""

from hypothesis import given
from hypothesis import strategies as st

from dockless.model.errors import Unauthorized
from dockless.wire.auth import Challenge, Credential, challenges, token_request, wanted_scopes
from dockless.wire.http import Headers, origin

WORDS = st.text("!#$%&'*+-.^_`|~0123456789abcXYZ", min_size=1, max_size=8)
QUOTED = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F, exclude_characters="\x7f"), max_size=20).filter(
    lambda text: not any(0x7F <= ord(character) < 0xA0 for character in text)
)


def written(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.text(max_size=200))
def test_reading_anything_raises_nothing(text: str) -> None:
    for one in challenges(Headers([("www-authenticate", text)])):
        assert one.scheme == one.scheme.lower()


@given(st.lists(st.tuples(WORDS, st.dictionaries(WORDS.map(str.lower), QUOTED, max_size=3)), max_size=4))
def test_what_is_written_well_is_read(made: list[tuple[str, dict[str, str]]]) -> None:
    value = ", ".join(
        f"{scheme} {', '.join(f'{name}={written(text)}' for name, text in parameters.items())}".strip()
        for scheme, parameters in made
    )
    assert [(one.scheme, one.parameters) for one in challenges(Headers([("WWW-Authenticate", value)]))] == [
        (scheme.lower(), parameters) for scheme, parameters in made
    ]


@given(st.one_of(st.text(max_size=60), st.from_regex(r"\Ahttps?://[a-z.@:/#?\[\]0-9]{0,30}\Z")))
def test_a_credential_goes_to_the_registrys_origin_or_nowhere(realm: str) -> None:
    challenge = Challenge("bearer", {"realm": realm, "service": "s"})
    try:
        request = token_request("https://registry.test", challenge, ["repository:a:pull"], Credential("a", "b"))
    except Unauthorized:
        return
    assert origin(request.url) == ("https", "registry.test", 443)


@given(st.text(max_size=60), st.text(max_size=60))
def test_scopes_name_each_resource_once(stated: str, ours: str) -> None:
    resources = [scope.rpartition(":")[0] for scope in wanted_scopes(stated, ours)]
    assert len(set(resources)) == len(resources)
