"""The undocumented parts of uvicorn that are used have not changed."""

from __future__ import annotations

import ast
import inspect
import textwrap

import uvicorn
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess

from app.serving import uvicorn_parts
from app.settings import Settings

CHANGED = "this version changed what app/serving/uvicorn_parts.py uses: "


async def nothing(scope: object, receive: object, send: object) -> None:
    del scope, receive, send


def loaded() -> uvicorn.Config:
    config = uvicorn_parts.configuration(Settings(root_path="/lab", keep_alive=1.5))
    config.app, config.factory = nothing, False
    config.load()
    return config


def keywords(function: object, called: str) -> set[str]:
    """The keywords with which the source of ``function`` calls something named ``called``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    calls = [each for each in ast.walk(tree) if isinstance(each, ast.Call)]
    return {
        keyword.arg or ""
        for call in calls
        for keyword in call.keywords
        if isinstance(call.func, ast.Attribute) and call.func.attr == called
    }


def test_a_connection_is_made_by_its_keywords() -> None:
    made = keywords(uvicorn.Server.startup, "http_protocol_class")
    ours = set(inspect.signature(uvicorn_parts.connection).parameters)
    assert made == ours, CHANGED + "the keywords of Config.http_protocol_class(…)"
    assert loaded().http_protocol_class is uvicorn_parts.connection, CHANGED + "Config.http may be callable"


def test_a_configuration_has_the_application_and_timeouts() -> None:
    config = loaded()
    assert config.loaded_app is nothing, CHANGED + "Config.loaded_app, bare without proxy_headers"
    assert config.root_path == "/lab", CHANGED + "Config.root_path"
    assert config.timeout_keep_alive == 1.5, CHANGED + "Config.timeout_keep_alive"


def test_the_server_keeps_lists_of_connections_and_tasks() -> None:
    state = ServerState()
    for name, kind in (("connections", set), ("tasks", set), ("default_headers", list)):
        assert isinstance(getattr(state, name, None), kind), CHANGED + f"ServerState.{name}"
    waiting = inspect.getsource(uvicorn.Server._wait_tasks_to_complete)
    assert "server_state.connections" in waiting, CHANGED + "it waits for connections to leave their list"
    stopping = inspect.getsource(uvicorn.Server.shutdown)
    assert "connection.shutdown()" in stopping, CHANGED + "it calls shutdown() of each connection"
    assert "default_headers" in inspect.getsource(uvicorn.Server.on_tick), CHANGED + "the date is renewed"


def test_stopping_can_be_done_in_steps() -> None:
    parameters = list(inspect.signature(uvicorn.Server.shutdown).parameters)
    assert parameters == ["self", "sockets"], CHANGED + "Server.shutdown(sockets)"
    assert hasattr(uvicorn.Server(loaded()), "started"), CHANGED + "Server.started"
    assert isinstance(uvicorn_parts.STARTUP_FAILURE, int), CHANGED + "uvicorn.config.STARTUP_FAILURE"


def test_a_supervisor_ends_all_its_processes_at_once() -> None:
    source = inspect.getsource(Multiprocess)
    for used in ("def terminate_all(self)", "self.should_exit = threading.Event()", "self.sockets = sockets"):
        assert used in source, CHANGED + f"Multiprocess: {used}"
