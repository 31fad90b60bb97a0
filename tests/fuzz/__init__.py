"""Randomly mutated requests against a real server: `python -m tests.fuzz --help`."""
