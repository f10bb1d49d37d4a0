"""A registry of v2 and OCI distribution as a place: its client, and a Store for each repository."""
