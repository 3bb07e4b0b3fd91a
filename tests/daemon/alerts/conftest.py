"""Somebody who is told: a real HTTP server on this machine, and what it has heard."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Listener:
    """Takes alerts.

    Attributes:
        heard: messages that were taken.
        tries: how many came, taken or not.
        status: what it answers.
        gate: answers wait until this is set.
    """

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.tries = 0
        self.status = 200
        self.gate = threading.Event()
        self.gate.set()
        self.came = threading.Event()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                listener.tries += 1
                listener.came.set()
                listener.gate.wait(30)
                if listener.status == 200:
                    listener.heard.append(message)
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, with a secret in it."""
        return f"json://127.0.0.1:{self._server.server_address[1]}/hook-s3cr3t"

    @property
    def lines(self) -> list[str]:
        """What it was told, alert by alert."""
        return [line for message in self.heard for line in message["message"].splitlines()]

    def close(self) -> None:
        """Be gone."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """Return somebody who listens."""
    listener = Listener()
    yield listener
    listener.close()
