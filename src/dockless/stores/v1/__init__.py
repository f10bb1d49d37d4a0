"""A Docker Registry v1 as a place: index, endpoints, images and layers."""
