"""The mathematics: pure functions of arrays. Knows no HTTP, no pydantic, no settings, no clock."""
