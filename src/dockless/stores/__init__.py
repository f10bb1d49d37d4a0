"""Floor 3: places that hold images, behind the protocols of `stores.base`."""
