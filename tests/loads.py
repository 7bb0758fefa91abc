"""Clients that send requests without a pause and remember the answers."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.services import FEATURES


class Load:
    def __init__(self, address: str) -> None:
        self.answered: list[str] = []
        self.refused: list[tuple[int, str]] = []  # status and text of answers
        self.broken = 0  # connections that ended without an answer
        self._address = urlsplit(address).netloc
        self._stop = threading.Event()

    def run(self, name: str) -> None:
        connection: http.client.HTTPConnection | None = None
        number = 0
        while not self._stop.is_set():
            number += 1
            body = json.dumps({"user_id": f"{name}-{number}", "features": FEATURES})
            try:
                connection = connection or http.client.HTTPConnection(self._address, timeout=30)
                connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException):
                connection = None
                self.broken += 1
                time.sleep(0.05)
                continue
            if response.status == 200:
                self.answered.append(json.loads(content)["request_id"])
            else:
                self.refused.append((response.status, content.decode()))
                time.sleep(0.05)

    def stop(self) -> None:
        self._stop.set()


@contextmanager
def load(address: str, users: int = 4) -> Iterator[Load]:
    senders = Load(address)
    threads = [threading.Thread(target=senders.run, args=(f"user{i}",)) for i in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield senders
    finally:
        senders.stop()
        for thread in threads:
            thread.join()
