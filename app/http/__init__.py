"""HTTP: bodies in, answers out, streaming, problems, keys and limits."""
