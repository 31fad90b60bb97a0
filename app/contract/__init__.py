"""Pydantic models of requests and responses, shared by server and client."""
