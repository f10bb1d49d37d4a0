"""The command line against the original v1 server: tags that come and go, and an image checked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dockless.testing.images import demo_images
from tests.faces.command import call
from tests.original import OriginalServer, token_pair

IMAGES = demo_images()
NAME = "library/demo"


@pytest.fixture(params=["standalone", "pair"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A repository, alone or behind an index whose tokens its registry checks."""
    if request.param == "standalone":
        with OriginalServer(tmp_path) as server:
            server.push(IMAGES, NAME, ["1.0"])
            yield f"v1:{server.host}/{NAME}"
        return
    with token_pair(tmp_path) as (index, _):
        index.push(IMAGES, NAME, ["1.0"])
        yield f"v1:{index.host}/{NAME}"


def test_a_tag_comes_and_goes(capsys: pytest.CaptureFixture[str], place: str) -> None:
    assert call(capsys, "tag", f"{place}:1.0", "2.0", "-q") == (0, f"{IMAGES[0].id}\n", "")
    assert call(capsys, "digest", f"{place}:2.0", "-q").out == f"{IMAGES[0].id}\n"
    assert call(capsys, "tag", f"{place}@{IMAGES[2].id}", "2.0", "-q").code == 0
    assert call(capsys, "digest", f"{place}:2.0", "-q").out == f"{IMAGES[2].id}\n"
    assert call(capsys, "untag", f"{place}:2.0", "-q") == (0, "", "")
    assert call(capsys, "tags", place, "-q").out == "1.0\n"
    code, _, err = call(capsys, "untag", f"{place}:2.0", "-q")
    assert code == 3
    assert "Tag not found" in err


def test_an_image_is_checked(capsys: pytest.CaptureFixture[str], place: str) -> None:
    code, out, _ = call(capsys, "validate", f"{place}:1.0", "-q")
    assert (code, out.rpartition(": ")[2]) == (0, "all right\n")
    assert out.startswith(f"{IMAGES[0].id}: 3 layers, ")
