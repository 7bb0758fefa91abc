"""The service under steady load with feedback: python -m benchmarks.soak [MINUTES]

Sixteen connections first send as many requests as the service answers, for five seconds, then half
as many a second for so many minutes (10 by default). Half of the answers get a label, and a page
reads /ab.json every two seconds. At the end every answer has to be in the log.
"""

import asyncio
import json
import sqlite3
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from benchmarks.serving import ROW, Server, family, make_project, ours
from ratchet.report import print_table

PORT, CONNECTIONS = 4121, 16
MINUTES = 10.0
SECONDS_AT_MOST = 5.0  # of sending as much as possible, to find the largest rate
STALL = 0.5  # seconds
LIMITS = {"missing": 0, "failed": 0, "stalls": 0, "memory_growth": 0.1, "p999_over_p50": 5.0}


@dataclass
class Client:
    """Connections that send requests and remember what was answered."""

    seconds: list[float] = field(default_factory=list)
    answered: list[str] = field(default_factory=list)
    failed: int = 0

    async def send(self, rate: float, seconds: float) -> None:
        """Send `rate` requests a second over all connections; 0: as many as are answered."""
        end = time.monotonic() + seconds
        pause = CONNECTIONS / rate if rate else 0.0
        await asyncio.gather(*[self._connection(n, pause, end) for n in range(CONNECTIONS)])

    async def _connection(self, number: int, pause: float, end: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        due = time.monotonic() + pause * number / CONNECTIONS
        count = 0
        while (now := time.monotonic()) < end:
            if due > now:
                await asyncio.sleep(due - now)
            due = max(due + pause, now)
            count += 1
            body = f'{{"user_id":"u{number}-{count}","features":{ROW}}}'
            began = time.perf_counter()
            answer = await _post(reader, writer, "/predict", body)
            self.seconds.append(time.perf_counter() - began)
            if answer is None:
                self.failed += 1
                continue
            self.answered.append(answer["request_id"])
            if count % 2:
                label = {"request_id": answer["request_id"], "label": answer["prediction"]}
                self.failed += await _post(reader, writer, "/feedback", json.dumps(label)) is None
        writer.close()


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: str
) -> "dict[str, str] | None":
    """Return the answer, or None for another status than 200."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(answer.partition(b"content-length:")[2].split(b"\r\n")[0])
    content = await reader.readexactly(length)
    if not answer.startswith(b"http/1.1 200"):
        return None
    decoded: dict[str, str] = json.loads(content)
    return decoded


async def _watch_page() -> None:
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        writer.write(b"GET /ab.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.read()
        writer.close()
        await asyncio.sleep(2)


async def soak(server: Server, minutes: float) -> tuple[Client, Client, list[tuple[float, int]]]:
    """Return the client at the largest rate, the one at half of it, and the service's state.

    The state is megabytes and open files, after a tenth of the time and at the end.
    """
    most, steady = Client(), Client()
    page = asyncio.create_task(_watch_page())
    await most.send(0, SECONDS_AT_MOST)
    rate = len(most.seconds) / SECONDS_AT_MOST / 2
    states = []
    for share in (0.1, 0.9):
        await steady.send(rate, 60 * minutes * share)
        states.append(_state(server))
    page.cancel()
    return most, steady, states


def _state(server: Server) -> tuple[float, int]:
    processes: list[psutil.Process] = family(server.process)
    return sum(one.memory_info().rss for one in processes) / 1e6, sum(
        one.num_fds() for one in processes
    )


def missing(log: Path, answered: list[str]) -> tuple[int, float]:
    """Return how many answers the log lacks, and its bytes a row."""
    with sqlite3.connect(log) as connection:
        known = {one for (one,) in connection.execute("SELECT request_id FROM predictions")}
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(set(answered) - known), log.stat().st_size / len(known)


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    with TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        with ours(project, PORT, workers=1) as server:
            most, steady, states = asyncio.run(soak(server, minutes))
        lost, row = missing(project / f"predictions-{PORT}.db", [*most.answered, *steady.answered])
    p50, p99, p999 = (float(q) for q in np.quantile(steady.seconds, [0.5, 0.99, 0.999]))
    figures = {
        "minutes": minutes,
        "answered": len(most.answered) + len(steady.answered),
        "largest_rate": round(len(most.seconds) / SECONDS_AT_MOST),
        "p50_ms": round(1000 * p50, 2),
        "p99_ms": round(1000 * p99, 2),
        "p999_ms": round(1000 * p999, 2),
        "longest_ms": round(1000 * max(steady.seconds), 1),
        "stalls": sum(one > STALL for one in steady.seconds),
        "p999_over_p50": round(p999 / p50, 1),
        "failed": most.failed + steady.failed,
        "missing": lost,
        "bytes_a_row": round(row),
        "megabytes": round(states[-1][0]),
        "memory_growth": round(states[-1][0] / states[0][0] - 1, 3),
        "open_files": states[-1][1],
    }
    print_table([{"figure": name, "value": str(value)} for name, value in figures.items()])
    limits = {f"{name}_limit": limit for name, limit in LIMITS.items()}
    holds = all(figures[name] <= limit for name, limit in LIMITS.items())
    print(json.dumps(figures | limits | {"holds": holds}))


if __name__ == "__main__":
    main()
