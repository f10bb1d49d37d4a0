"""The embedded registry: ASGI routes over anything that holds images."""
