"""Arrays on the wire and back."""
