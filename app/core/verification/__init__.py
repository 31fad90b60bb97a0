"""Judging a kernel: its numbers against the exact ones, and where the errors come from."""
