"""dockless: container images in registries, without Docker."""

__version__ = "0.1.0"
