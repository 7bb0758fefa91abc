"""The threads that read exports of the log, which nothing else uses.

A database that does not answer holds a thread for as long as it likes. In the threads that all
routes share, a few exports of a frozen PostgreSQL would hold up every change of the split.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

from ratchet.errors import InputError
from ratchet.predictions.commit_queue import LogError
from ratchet.predictions.exports import BROKEN_OFF

THREADS = 4
SECONDS_FOR_A_PAGE = 30.0


class ExportThreads:
    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "export")

    async def start(self, pages: Iterator[str]) -> AsyncIterator[str]:
        """Return the parts of an export. Raise LogError if the first one cannot be read in time."""
        try:
            first = await self._next(pages)
        except (InputError, TimeoutError) as error:  # the text names the database
            raise LogError("The prediction log cannot be read now", str(error)) from None
        return self._parts(first, pages)

    async def _parts(self, part: str, pages: Iterator[str]) -> AsyncIterator[str]:
        while part:
            yield part
            try:
                part = await self._next(pages)
            except TimeoutError:
                yield BROKEN_OFF
                raise

    async def _next(self, pages: Iterator[str]) -> str:
        part = asyncio.get_running_loop().run_in_executor(self._threads, next, pages, "")
        return await asyncio.wait_for(part, SECONDS_FOR_A_PAGE)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
