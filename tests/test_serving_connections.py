"""The limits of a connection, tried on a real uvicorn with a client that misbehaves."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from ratchet.serving import connections
from ratchet.serving.connections import LimitedConnection, use_limited_connections
from tests.projects import free_port

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def slow(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, wait a moment, and answer."""
    if scope["type"] == "lifespan":
        return
    while (await receive()).get("more_body"):
        pass
    import asyncio

    await asyncio.sleep(0.2)
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def server(**options: Any) -> Iterator[tuple[uvicorn.Server, Callable[[], socket.socket]]]:
    port = free_port()
    config = uvicorn.Config(
        slow, port=port, http=LimitedConnection, lifespan="off", log_config=None, **options
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    end = time.monotonic() + 30
    while not running.started:
        assert time.monotonic() < end
        time.sleep(0.01)
    try:
        yield running, lambda: socket.create_connection(("127.0.0.1", port), timeout=30)
    finally:
        running.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def everything(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    received = b""
    while part := client.recv(65536):
        received += part
    return received


def test_a_silent_connection_and_a_slow_request_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_A_REQUEST", 0.3)
    with server() as (_, connect):
        for start in (b"", REQUEST[:10], b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"):
            with connect() as client:
                client.sendall(start)
                assert everything(client) == b""


def test_a_request_in_time_is_answered_however_long_the_answer_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_A_REQUEST", 0.1)
    with server(timeout_keep_alive=1) as (_, connect), connect() as client:
        client.sendall(REQUEST)
        assert everything(client).endswith(b"ok")


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: "])
def test_an_endless_url_or_header_is_refused(start: bytes) -> None:
    with server() as (_, connect), connect() as client:
        client.sendall(start)
        received = b""
        try:
            for _ in range(200):  # 20 MB; it is refused long before
                client.sendall(b"a" * 100_000)
        except OSError:
            return  # it was closed while this client still sent
        received = everything(client)
        assert received.startswith(b"HTTP/1.1 400")


def test_many_headers_and_a_large_body_within_the_limits_are_answered() -> None:
    headers = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 100) for i in range(100))
    body = b"b" * 1_000_000
    with server() as (_, connect), connect() as client:
        for _ in range(2):
            head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n%s\r\n" % (len(body), headers)
            client.sendall(head + body)
            assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_a_server_that_stops_answers_what_was_sent_and_closes_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One request is under way; the other connection is idle, and its next one comes later."""
    monkeypatch.setattr(connections, "SECONDS_TO_DRAIN", 30)
    with server() as (running, connect), connect() as busy, connect() as idle:
        idle.sendall(REQUEST)
        assert idle.recv(1000).endswith(b"ok")
        busy.sendall(REQUEST)
        running.should_exit = True
        end = time.monotonic() + 30
        while not all(one._is_draining for one in list(running.server_state.connections)):
            assert time.monotonic() < end
            time.sleep(0.01)
        idle.sendall(REQUEST)
        for client in (busy, idle):
            answer = everything(client)
            assert answer.endswith(b"ok")
            assert b"connection: close" in answer


def test_the_time_that_an_idle_connection_stays_open_can_be_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATCHET_KEEP_ALIVE_SECONDS", "1")
    with server(timeout_keep_alive=60) as (_, connect), connect() as client:
        client.sendall(REQUEST)
        assert everything(client).endswith(b"ok")


def test_a_keep_alive_that_is_not_a_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_KEEP_ALIVE_SECONDS", "soon")
    with pytest.raises(connections.InputError, match="RATCHET_KEEP_ALIVE_SECONDS=soon"):
        use_limited_connections()
