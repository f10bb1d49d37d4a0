"""A layer under way, from the endpoints of a v1 registry: a body that heals itself at the next of them.

The size that the image's JSON came with is believed over a `Content-Length`; when both differ and there is no checksum
to decide, the answer is refused.
"""

from dockless.model.errors import RemoteFault, SizeMismatch
from dockless.net.response import Response
from dockless.stores.base import V1Image
from dockless.stores.healing import HealingBody
from dockless.stores.v1.endpoints import Endpoints
from dockless.wire.http import without_query
from dockless.wire.v1 import routes
from dockless.wire.v1.layer_range import position, wanted_range

_USABLE = frozenset({200, 206, 416})


class LayerBody(HealingBody):
    """The bytes of a layer from `offset` to its end; a Reader. `size` is the whole layer's, None until it is known."""

    def __init__(self, endpoints: Endpoints, image: V1Image, offset: int) -> None:
        super().__init__(endpoints.session, f"layer {image.id}", image.size, offset)
        self._endpoints = endpoints
        self._image = image

    def open(self) -> Response | None:
        """Return the body that goes on at the offset, None for a layer of no bytes."""
        asked = wanted_range(self.offset, self.size)
        path = routes.layer(self._image.id)
        whole = self._endpoints.requests(path)
        ranged = self._endpoints.requests(path, (("Range", asked),)) if asked else []
        return self._endpoints.first_of(ranged + whole, self._accept, _USABLE)

    def failed(self) -> None:
        """Go on at the next endpoint."""
        self._endpoints.rotate()

    def _accept(self, response: Response) -> Response | None:
        try:
            return self._checked(response)
        except BaseException:
            response.close()
            raise

    def _checked(self, response: Response) -> Response | None:
        asked = next((value for name, value in response.request.headers if name == "Range"), None)
        if response.status == 416 and asked is None and self.size in {None, 0}:
            response.close()
            self.size = 0
            return None
        place = without_query(response.request.url)
        found = position(response.status, response.headers, asked)
        if found is None:
            raise RemoteFault(f"{place}: HTTP {response.status} without the range asked for", status=response.status)
        if self.size is None:
            self.size = found.size
        elif found.size not in {None, self.size} and self._image.checksum is None:
            raise SizeMismatch(f"{place}: announces {found.size} bytes of a layer of {self.size}")
        self.begins(found.start, place)
        return response
