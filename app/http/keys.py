"""API keys: where the operator has set some, requests that compute must carry one of them."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256
from http import HTTPStatus
from itertools import chain
from typing import Any

from pydantic import SecretStr
from starlette.datastructures import Headers

from app.http.problems import Problem

SCHEME = "bearer"
"""The security scheme's name in the OpenAPI document."""


class Keys:
    """The accepted keys; if there are none, every request is accepted."""

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        # Digests have one length, so that the time of a comparison does not reveal the length of a key.
        self._digests = [_digest(key.get_secret_value()) for key in keys]

    def __bool__(self) -> bool:
        """Whether a key is required."""
        return bool(self._digests)

    def check(self, headers: Headers) -> None:
        """Raises `Problem` 401 unless ``Authorization: Bearer`` carries one of the keys."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        digest = _digest(given.strip())
        # Every key is compared, so that the time does not reveal which one it was.
        found = sum(hmac.compare_digest(digest, own) for own in self._digests)
        if scheme.lower() != SCHEME or not found:
            detail = "this needs one of the service's API keys, as Authorization: Bearer <key>"
            raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})


def declare(document: dict[str, Any], *, required: bool) -> None:
    """Adds the security scheme to an OpenAPI document; if no key is ``required``, removes its uses."""
    for operation in chain.from_iterable(each.values() for each in document["paths"].values()):
        if "security" not in operation:
            continue
        if not required:
            del operation["security"]
            continue
        answers = operation["responses"]
        refusal = next(answers[status] for status in answers if status.startswith("4"))
        answers["401"] = {**refusal, "description": HTTPStatus.UNAUTHORIZED.phrase}
    if required:
        document["components"]["securitySchemes"] = {SCHEME: {"type": "http", "scheme": SCHEME}}


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
