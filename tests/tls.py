"""A private authority, for servers of this machine that speak TLS."""

import ssl
from pathlib import Path

import trustme


class Authority:
    """Signs servers; `file` is the PEM file by which a client trusts it."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self.file = directory / "authority.pem"
        self._ca.cert_pem.write_to_path(self.file)

    def server(self, *names: str) -> ssl.SSLContext:
        """Return what a server of these names, by default of the loopback, speaks TLS with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
        return context

    def files(self, directory: Path) -> tuple[Path, Path]:
        """Write certificate and key of a server of the loopback for a program; return both files."""
        issued = self._ca.issue_cert("127.0.0.1", "localhost")
        certificate, key = directory / "server.pem", directory / "server.key"
        certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(key)
        return certificate, key
