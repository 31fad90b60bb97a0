"""Requests damaged at random, against a real server: `python -m tests.fuzz --help`."""
