"""HTTP: one file per resource, thin handlers around the core."""
