"""An answer, whoever brings it, and the words for no answer."""

from dockless.model.errors import NetworkFault, RemoteFault
from dockless.model.printable import printable
from dockless.wire.http import Headers, Request, origin


class Response:
    """An answer whose body is still to be read; a Reader. Use it with `contextlib.closing`."""

    def __init__(self, request: Request, status: int, headers: Headers) -> None:
        self.request = request
        self.status = status
        self.headers = headers

    def read_chunk(self) -> memoryview:
        """Return the next bytes of the body, empty at its end. Raises NetworkFault when it is cut or stalls."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the connection; what was not read closes it."""
        raise NotImplementedError

    def read(self, most: int) -> bytes:
        """Return the whole body. Raises RemoteFault when it is longer than `most` bytes."""
        body = bytearray()
        while chunk := self.read_chunk():
            body += chunk
            if len(body) > most:
                raise RemoteFault(f"{self.request}: the answer is longer than {most} bytes", status=self.status)
        return bytes(body)


def unreachable(url: str, reason: str) -> NetworkFault:
    """Return the error for no answer from where `url` points, or for one that broke off."""
    scheme, host, port = origin(url)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return NetworkFault(
        f"{place}: {printable(reason, 300)}",
        hint=f"Is {scheme}://{place} up and reachable from here? Proxies and --plain-http count too.",
    )
