"""Limits of a connection that uvicorn does not have: head size, slow clients, an orderly end."""

import os
import resource
from asyncio import TimerHandle, Transport
from typing import Any

from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ratchet.errors import InputError

MAX_HEAD_BYTES = 256 * 1024  # the URL and the headers together; the kernel's chunks may add as much
SECONDS_FOR_A_REQUEST = 30.0  # to send its head and its body
SECONDS_TO_DRAIN = 1.0  # for a request that was sent before the client saw the connection close
KEEP_ALIVE = "RATCHET_KEEP_ALIVE_SECONDS"


class LimitedConnection(HttpToolsProtocol):
    """An HTTP connection that a slow, silent or hostile client cannot hold.

    When the service stops, requests that are under way are answered with `Connection: close`.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.timeout_keep_alive = int(os.environ.get(KEEP_ALIVE, self.timeout_keep_alive))
        self._deadline: TimerHandle | None = None
        self._reads_head = True
        self._head_bytes = 0
        self._is_draining = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_head = self._reads_head
        super().data_received(data)
        if is_head and self._reads_head:  # all of this chunk belongs to a head that goes on
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The URL and the headers are too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._start_deadline()

    def on_headers_complete(self) -> None:
        self._reads_head = False
        super().on_headers_complete()
        if self._is_draining:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._reads_head = True
        self._stop_deadline()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Close an idle connection a moment later: its next request may be under way."""
        self._is_draining = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(SECONDS_TO_DRAIN, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _start_deadline(self) -> None:
        self._stop_deadline()
        self._deadline = self.loop.call_later(SECONDS_FOR_A_REQUEST, self.transport.close)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def use_limited_connections() -> None:
    """Make uvicorn use the class above; BentoML starts uvicorn and has no option for it."""
    text = os.environ.get(KEEP_ALIVE, "5")
    if not text.isdecimal():
        raise InputError(f"{KEEP_ALIVE}={text}: expected a whole number of seconds")
    auto.AutoHTTPProtocol = LimitedConnection
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
