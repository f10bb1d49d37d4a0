"""The routes of v2."""

from dockless.model.descriptor import describe
from dockless.model.digest import Digest
from dockless.model.media_types import DOCKER_SCHEMA1, OCI_INDEX, OCI_LAYER
from dockless.wire.v2 import routes

DIGEST = Digest("sha256:" + "0" * 64)


def test_each_is_a_path() -> None:
    assert routes.manifest("a/b", "latest") == "/v2/a/b/manifests/latest"
    assert routes.manifest("a/b", "1", ["2", "x_y"]) == "/v2/a/b/manifests/1?tag=2&tag=x_y"
    assert routes.blob("a/b", DIGEST) == f"/v2/a/b/blobs/{DIGEST}"
    assert routes.tags("a/b") == "/v2/a/b/tags/list"
    assert routes.tags("a/b", 100) == "/v2/a/b/tags/list?n=100"
    assert routes.catalog() == "/v2/_catalog"
    assert routes.referrers("a/b", DIGEST) == f"/v2/a/b/referrers/{DIGEST}"
    assert routes.referrers("a/b", DIGEST, "a/b+c") == f"/v2/a/b/referrers/{DIGEST}?artifactType=a%2Fb%2Bc"
    assert routes.uploads("a/b") == "/v2/a/b/blobs/uploads/"
    assert routes.uploads("a", mount=DIGEST, from_="c/d") == (
        f"/v2/a/blobs/uploads/?mount=sha256%3A{'0' * 64}&from=c%2Fd"
    )


def test_the_media_type_tells_manifests_from_blobs() -> None:
    for media_type, place in ((OCI_INDEX, "manifests"), (DOCKER_SCHEMA1, "manifests"), (OCI_LAYER, "blobs")):
        wanted = describe(b"", media_type)
        assert routes.content("a", wanted) == f"/v2/a/{place}/{wanted.digest}"
