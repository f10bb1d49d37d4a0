"""The distribution API (v2): its routes and links, and the conversation of an upload."""
