"""A function called again and again beside the work, until it is stopped."""

import logging
import threading
from collections.abc import Callable


class Every:
    def __init__(self, seconds: float, call: Callable[[], object], name: str) -> None:
        self._seconds, self._call = seconds, call
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Without waiting long: a database that does not answer would keep it."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self._call()
            except Exception:  # the next turn may do better; this one is told
                logging.getLogger(__name__).exception("%s failed", self._thread.name)
