"""Requests to an embedded registry on a real socket, seen as they come."""

import http.client
import socket
from collections.abc import Iterable
from typing import NamedTuple

from dockless.faces.server.app import EmbeddedRegistry


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    registry: EmbeddedRegistry,
    path: str,
    method: str = "GET",
    body: Iterable[bytes] | bytes | None = None,
    /,
    **headers: str,
) -> Answer:
    """Ask and read all of the answer; a body in pieces goes out chunked."""
    connection = http.client.HTTPConnection(registry.host, timeout=10)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def ask_raw(registry: EmbeddedRegistry, request: str) -> Answer:
    """Send the request as it is and read until the server ends the connection, whatever length it announces."""
    address, port = registry.host.split(":")
    with socket.create_connection((address, int(port)), timeout=10) as connection:
        connection.sendall(request.encode())
        head, _, body = b"".join(iter(lambda: connection.recv(1 << 16), b"")).partition(b"\r\n\r\n")
    status, _, fields = head.decode().partition("\r\n")
    headers = http.client.HTTPMessage()
    for field in fields.split("\r\n"):
        name, _, value = field.partition(": ")
        headers[name] = value
    return Answer(int(status.split()[1]), headers, body)
