"""Every setting, its default and, in capitals behind ``ACTIVATION_LAB_``, its environment variable."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.machine import cores, memory

SERVER_BYTES = 150 * 2**20
"""Memory of an idle server process."""

ELEMENT_BYTES = 100
"""Memory that each number of a request takes at most: as text, as float64, and with its results."""

SIMULATIONS_SHARE, ARRAYS_SHARE, BODY_SHARE = 0.5, 0.15, 0.125
"""Shares of the available memory: for simulations, for one request's arrays, for one body."""


def _share(most: float, part: float, data: dict[str, Any]) -> float:
    """A server process's share of ``part`` of the memory, but not more than ``most``."""
    workers: int = data.get("workers", 1)
    return min(most, part * memory() / workers)


LogFormat: TypeAlias = Literal["auto", "json", "console"]
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """All settings. The table in docs/operations.md is generated from these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="ACTIVATION_LAB_", env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    workers: int = Field(1, ge=1, le=64, description="Server processes.")
    threads: int = Field(
        default_factory=lambda data: min(256, max(1, cores() // data.get("workers", 1))),
        ge=1,
        le=256,
        description="Threads a server process computes large arrays on. Default: its share of the cores.",
    )
    max_body_bytes: int = Field(
        default_factory=lambda data: int(_share(256 * 2**20, BODY_SHARE, data)),
        ge=1,
        description="Largest request body, in bytes. Less by default where memory is short.",
    )
    max_elements: int = Field(
        default_factory=lambda data: int(_share(20e6, ARRAYS_SHARE / ELEMENT_BYTES, data)),
        ge=1,
        description="Most numbers in one request's arrays; all requests that a server process computes at a "
        "time may have twice as many. Less by default where memory is short.",
    )
    max_cells: int = Field(20_000, ge=1, description="Most cells in one phase diagram.")
    max_flow_work: float = Field(
        1e13,
        gt=0,
        description="Most operations of one request for /gradient-flow; 5e10 take a core a second.",
    )
    max_flow_bytes: float = Field(
        default_factory=lambda data: _share(8 * 2.0**30, SIMULATIONS_SHARE, data),
        gt=0,
        description="Most memory that all simulations of a server process may take together, in bytes. "
        "Default: 8 GiB, or its share of half the memory.",
    )
    simulators: int = Field(
        default_factory=lambda: min(256, cores()),
        ge=1,
        le=256,
        description="Worker processes for simulations, which all server processes share, started when first "
        "needed. Default: one for each core.",
    )
    max_worker_bytes: float = Field(
        default_factory=lambda data: 1.25 * data.get("max_flow_bytes", 0) + SERVER_BYTES,
        gt=0,
        description="Most memory that such a worker may take, in bytes. Default: a quarter more than the "
        "largest simulation, and what a process takes at rest.",
    )
    max_sweep_cells: int = Field(10_000, ge=1, description="Most cells of one sweep's grid.")
    max_sweep_work: float = Field(
        1e14, gt=0, description="Most operations of one sweep; 5e10 take a core a second."
    )
    sweep_timeout: float = Field(
        3600.0, gt=0, description="Seconds a sweep may take; a client may ask for less."
    )
    dask_scheduler: str | None = Field(
        None,
        max_length=500,
        description="Address of a Dask scheduler (`tcp://…`) on whose workers simulations run. "
        "Default: worker processes here.",
    )
    max_queue: int = Field(
        16,
        ge=1,
        description="Large requests of a server process running or waiting at a time, of each kind: arrays, "
        "simulations, pictures; one more is answered 503 with Retry-After.",
    )
    picture_cache_bytes: int = Field(
        32 * 2**20, ge=0, description="Size of the cache of drawn pictures, in bytes."
    )
    receive_timeout: float = Field(
        30.0,
        gt=0,
        description="Seconds a request may take to arrive whole; then the connection closes.",
    )
    send_timeout: float = Field(
        30.0,
        gt=0,
        description="Seconds in which a client must read its whole answer, or a megabyte of it; then the "
        "connection closes.",
    )
    max_unsent_bytes: int = Field(
        2**30,
        ge=1,
        description="Most memory of unread answers, in bytes; beyond it the client that has read nothing "
        "for longest is cut off.",
    )
    request_timeout: float = Field(
        60.0, gt=0, description="Seconds a computation may take; a client may ask for less."
    )
    keep_alive: float = Field(5.0, gt=0, description="Seconds an idle connection is kept.")
    shutdown_notice: float = Field(
        1.0,
        ge=0,
        description="Seconds after a SIGTERM in which /readyz answers 503 before the service stops "
        "listening.",
    )
    shutdown_grace: float = Field(
        10.0, gt=0, description="Seconds from a SIGTERM to the end of the process at most."
    )
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="Comma-separated keys; if there are any, every route that computes asks for one of them.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated origins whose pages may call the service from a browser, or `*`.",
    )
    root_path: str = Field(
        "",
        pattern="^(/[A-Za-z0-9._~-]+)*$",
        description="Path prefix under which a proxy serves the service, such as `/lab`.",
    )
    log_level: LogLevel = Field(
        "info", description="Lowest level that is logged: debug, info, warning, error."
    )
    log_format: LogFormat = Field(
        "auto", description="json, console, or auto: console at a terminal, json elsewhere."
    )
    telemetry: bool = Field(
        False, description="Sends OpenTelemetry traces, metrics and logs, as the OTEL_ variables say."
    )

    def impossible(self) -> str | None:
        """The reason why this machine cannot run so many server processes, if it cannot."""
        needed, there = self.workers * SERVER_BYTES, memory()
        if needed <= there:
            return None
        who = "one server process takes" if self.workers == 1 else f"{self.workers} server processes take"
        enough = f", enough for {max(1, there // (2 * SERVER_BYTES))}" if there >= SERVER_BYTES else ""
        taken = f"{who} {needed / 2**20:,.0f} MiB of memory at rest"
        return f"{taken}; there are {there / 2**20:,.0f}{enough}"

    @property
    def clearing(self) -> float:
        """Seconds at the end of the grace period for cancelling what has not finished."""
        return min(2.0, self.shutdown_grace / 5)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_not_blank(cls, values: Any) -> Any:
        name = "ACTIVATION_LAB_API_KEYS"
        given = next((value for key, value in os.environ.items() if key.upper() == name), None)
        if given is not None and not given.strip() and "api_keys" not in values:
            raise ValueError(f"{name} is set but blank: give a key, or unset it to serve everybody")
        return values

    @field_validator("api_keys", "cors_origins", mode="before")
    @classmethod
    def _between_commas(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return [each.strip() for each in value.split(",")] if value else ()

    @field_validator("api_keys")
    @classmethod
    def _fit_for_a_header(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(re.fullmatch("[!-~]+", key.get_secret_value()) for key in keys):
            raise ValueError("a key must be printable ASCII without spaces, and no key may be empty")
        return keys


@cache
def settings() -> Settings:
    """The settings of this process, read from the environment once."""
    return Settings()
