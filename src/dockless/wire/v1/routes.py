"""The routes of v1, as paths. Names and ids are checked before they come here."""

from urllib.parse import quote, urlencode

from dockless.model.image_id import ImageId

PING = "/v1/_ping"


def repository_images(repository: str) -> str:
    """The index's list of a repository's images; its headers hold token and endpoints."""
    return f"/v1/repositories/{quote(repository)}/images"


def repository(name: str) -> str:
    """The repository itself, which a push begins with; without the slash a server redirects, and PUT is not."""
    return f"/v1/repositories/{quote(name)}/"


def tags(repository: str) -> str:
    """Every tag of a repository with its id."""
    return f"/v1/repositories/{quote(repository)}/tags"


def tag(repository: str, tag: str) -> str:
    """One tag with its id."""
    return f"/v1/repositories/{quote(repository)}/tags/{quote(tag)}"


def image_json(image_id: ImageId) -> str:
    """An image's JSON, byte for byte as it was pushed."""
    return f"/v1/images/{image_id}/json"


def ancestry(image_id: ImageId) -> str:
    """The ids from the image down to its base."""
    return f"/v1/images/{image_id}/ancestry"


def layer(image_id: ImageId) -> str:
    """The layer's bytes, as they were pushed."""
    return f"/v1/images/{image_id}/layer"


def checksum(image_id: ImageId) -> str:
    """The image's checksum, which completes it."""
    return f"/v1/images/{image_id}/checksum"


def search(query: str, page: int) -> str:
    """One page of a search; pages count from 1."""
    return "/v1/search?" + urlencode({"q": query, "n": 100, "page": page}, errors="replace")
