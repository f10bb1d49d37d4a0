"""The routes of the distribution specification ("Endpoints"), as paths. Names and digests are checked before they come
here: they hold nothing that a path would have to escape.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

from dockless.model.descriptor import Descriptor
from dockless.model.digest import Digest
from dockless.model.media_types import DOCUMENTS

BASE = "/v2/"


def manifest(repository: str, name: str, also: Sequence[str] = ()) -> str:
    """A manifest or an index, by tag or by digest; one that is put gets the tags `also`."""
    query = f"?{urlencode([('tag', tag) for tag in also])}" if also else ""
    return f"/v2/{repository}/manifests/{name}{query}"


def blob(repository: str, digest: Digest) -> str:
    """A blob."""
    return f"/v2/{repository}/blobs/{digest}"


def content(repository: str, wanted: Descriptor) -> str:
    """Content among the manifests or among the blobs: its media type says which."""
    if wanted.media_type in DOCUMENTS:
        return manifest(repository, wanted.digest)
    return blob(repository, wanted.digest)


def uploads(repository: str, **query: str) -> str:
    """Where an upload begins; the query: `digest` for one in a single request, `mount` and `from_` (sent as `from`)."""
    path = f"/v2/{repository}/blobs/uploads/"
    asked = {name.rstrip("_"): value for name, value in query.items()}
    return f"{path}?{urlencode(asked)}" if asked else path


def tags(repository: str, page: int = 0) -> str:
    """A repository's tags, at most `page` at once; 0 leaves that to the registry."""
    path = f"/v2/{repository}/tags/list"
    return f"{path}?n={page}" if page else path


def catalog() -> str:
    """The registry's repositories."""
    return "/v2/_catalog"


def referrers(repository: str, subject: Digest, artifact_type: str = "") -> str:
    """The manifests whose subject is `subject`, those of one type when one is given."""
    path = f"/v2/{repository}/referrers/{subject}"
    return f"{path}?{urlencode({'artifactType': artifact_type})}" if artifact_type else path
