"""The HTTP API: one file per resource, thin handlers around the core."""
