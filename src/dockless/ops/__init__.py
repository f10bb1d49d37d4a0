"""Floor 4: acts on images, which know the protocols of `stores.base` and no concrete store."""
