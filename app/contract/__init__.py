"""Requests and answers, as pydantic models: what server and client share."""
