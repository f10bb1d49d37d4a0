"""Platforms: `OS/ARCHITECTURE[/VARIANT][:OS_VERSION]` (OCI image-spec, image-index.md, `platform`).

Rules:
* What a caller asks for may leave the variant and the version out; then any will do.
* `arm64` is `arm64/v8`; `x86_64` and `aarch64` are how other people spell `amd64` and `arm64`.
"""

import msgspec

from dockless.model.errors import InvalidReference
from dockless.model.printable import printable

_SPELLINGS = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_DEFAULT_VARIANTS = {"arm64": "v8", "amd64": "v1"}


class Platform(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an image runs on. `str()` gives what `parse_platform` reads."""

    architecture: str = ""
    os: str = ""
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: tuple[str, ...] | None = msgspec.field(default=None, name="os.features")
    variant: str | None = None

    def __str__(self) -> str:
        variant = f"/{self.variant}" if self.variant else ""
        version = f":{self.os_version}" if self.os_version else ""
        return f"{self.os}/{self.architecture}{variant}{version}"

    def satisfies(self, wanted: "Platform") -> bool:
        """Say whether an image for this platform is one for `wanted`."""
        usual = _DEFAULT_VARIANTS.get(wanted.architecture)
        return (
            (self.os, self.architecture) == (wanted.os, wanted.architecture)
            and (wanted.variant is None or (self.variant or usual) == wanted.variant)
            and (wanted.os_version is None or self.os_version == wanted.os_version)
        )


LINUX_AMD64 = Platform(os="linux", architecture="amd64")  # what is meant where a place holds one image only


def parse_platform(text: str) -> Platform:
    """Read `OS/ARCHITECTURE[/VARIANT][:OS_VERSION]`. Raises InvalidReference."""
    name, colon, version = text.strip().partition(":")
    parts = name.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts) or (colon and not version) or not name.isprintable():
        raise InvalidReference(
            f"not a platform: {printable(text, 100)!r}", hint="Platforms look like linux/amd64 or linux/arm/v7."
        )
    architecture = parts[1].lower()
    return Platform(
        os=parts[0].lower(),
        architecture=_SPELLINGS.get(architecture, architecture),
        variant=parts[2].lower() if len(parts) == 3 else None,
        os_version=version or None,
    )
