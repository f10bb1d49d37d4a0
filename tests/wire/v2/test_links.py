"""Where the next page of a list is."""

import pytest

from dockless.model.errors import RemoteFault
from dockless.wire.http import Headers
from dockless.wire.v2.links import next_page

PAGE = "https://registry.test/v2/a/b/tags/list?n=2"


def after(*values: str) -> str | None:
    return next_page(Headers([("Link", value) for value in values]), PAGE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('</v2/a/b/tags/list?last=x&n=2>; rel="next"', "https://registry.test/v2/a/b/tags/list?last=x&n=2"),
        ('<https://registry.test/v2/x?next_page=gAAA%3D%3D>; rel="next"', "https://registry.test/v2/x?next_page=gAAA%3D%3D"),
        ('<https://registry.test:443/x>; rel="next"', "https://registry.test:443/x"),
        ("<list?last=x>; rel=next", "https://registry.test/v2/a/b/tags/list?last=x"),
        ("<?last=x>;rel=next", "https://registry.test/v2/a/b/tags/list?last=x"),
        ('<?last=x>; title="a, b"; rel="prev NEXT"', "https://registry.test/v2/a/b/tags/list?last=x"),
        ('<?last=a>; rel="prev", <?last=b>; rel="next"', "https://registry.test/v2/a/b/tags/list?last=b"),
        ('/v2/a/b/tags/list?last=x; rel="next"', "https://registry.test/v2/a/b/tags/list?last=x"),
        ('<?last=x>; REL = "next"', "https://registry.test/v2/a/b/tags/list?last=x"),
    ],
)  # fmt: skip
def test_the_target_is_taken_as_it_is(value: str, expected: str) -> None:
    assert after(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "<?x>", '<?x>; rel="prev"', '<?x>; rel="nextish"', '<?x>; title="; rel=next"', "<?x; rel=next", "garbage, <"],
)  # fmt: skip
def test_without_a_next_this_was_the_last(value: str) -> None:
    assert after(value) is None


def test_no_header_is_no_link() -> None:
    assert after() is None


def test_it_may_stand_in_a_second_header() -> None:
    assert after('<?a>; rel="prev"', "<?b>; rel=next") == "https://registry.test/v2/a/b/tags/list?b"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.test/v2/a/b/tags/list",
        "//evil.test/x",
        "http://registry.test/x",
        "https://registry.test:444/x",
        "https://registry.test.evil.test/",
        "https://registry.test@evil.test/",
    ],
)
def test_another_origin_is_not_followed(target: str) -> None:
    with pytest.raises(RemoteFault, match="elsewhere"):
        after(f'<{target}>; rel="next"')


@pytest.mark.parametrize("target", ["file:///etc/passwd", "https://[", "javascript:x", "/a b", "/\x1b[2J"])
def test_what_is_no_url_is_an_error(target: str) -> None:
    with pytest.raises(RemoteFault, match="not a URL"):
        after(f'<{target}>; rel="next"')
