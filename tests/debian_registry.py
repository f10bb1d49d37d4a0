"""Debian's docker-registry, which no one here wrote, on a free port: `with DebianRegistry(directory) as registry`."""

import http.client
import json
import shutil
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.original import free_port
from tests.require import absent


class DebianRegistry:
    """A registry that keeps its content below `directory`. `config` is merged over the usual configuration.

    `url` and `host` say where it is; `log` what it wrote.
    """

    def __init__(self, directory: Path, **config: Any) -> None:
        program = shutil.which("docker-registry")
        if program is None:
            absent("docker-registry: no such program")
        directory.mkdir(parents=True, exist_ok=True)
        self.host = f"127.0.0.1:{free_port()}"
        scheme = "https" if "tls" in config.get("http", {}) else "http"
        self.url = f"{scheme}://{self.host}"
        self._log = directory / "registry.log"
        usual = {
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(directory / "content")}, "delete": {"enabled": True}},
            "http": {"addr": self.host},
        }
        file = directory / "config.yml"
        file.write_text(json.dumps(_merged(usual, config)))  # JSON is YAML
        self._command = [program, "serve", str(file)]

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def log(self) -> str:
        """What the registry wrote so far."""
        return self._log.read_text(errors="replace")

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _wait(self) -> None:
        for _ in range(200):
            if self._process.poll() is not None:
                break
            with suppress(OSError), closing(http.client.HTTPConnection(self.host, timeout=5)) as connection:
                connection.connect()
                return
            time.sleep(0.05)
        raise AssertionError(f"docker-registry did not start: {self.log}")


def _merged(usual: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    both = dict(usual)
    for key, value in given.items():
        both[key] = _merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both
