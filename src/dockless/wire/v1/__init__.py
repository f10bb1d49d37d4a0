"""Docker Registry v1: routes, headers, documents and ranges."""
