"""Links from anywhere lead nowhere else."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from dockless.model.errors import RemoteFault
from dockless.wire.http import Headers, origin
from dockless.wire.v2.links import next_page

PAGE = "https://registry.test/v2/a/tags/list"


@given(
    st.one_of(
        st.text(max_size=100),
        st.text(max_size=60).map(lambda target: f"<{target}>; rel=next"),
        st.from_regex(r'\A<(https?:)?//[a-z.@:/#?\[\]0-9]{0,30}>; rel="next"\Z'),
    )
)
def test_a_next_page_is_at_the_same_origin(value: str) -> None:
    with suppress(RemoteFault):
        found = next_page(Headers([("link", value)]), PAGE)
        assert found is None or origin(found) == origin(PAGE)


@given(st.from_regex(r"\A[A-Za-z0-9._~%=&-]{1,60}\Z"))
def test_its_query_comes_through_untouched(query: str) -> None:
    assert next_page(Headers([("link", f'</v2/a/tags/list?{query}>; rel="next"')]), PAGE) == f"{PAGE}?{query}"
