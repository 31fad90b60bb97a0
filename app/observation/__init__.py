"""Seeing inside: what each request was, in logs and in numbers."""
