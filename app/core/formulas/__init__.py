"""The formula language: read, shown, differentiated, and evaluated in floats, in balls and at infinity."""
