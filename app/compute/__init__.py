"""Where work runs, and under which limits."""
