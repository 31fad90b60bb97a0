"""The process: server, workers, shutdown, and whatever sits under ASGI."""
