"""wrk sends requests to an address without a pause."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


@dataclass(frozen=True)
class Load:
    requests_a_second: float
    p99_ms: float
    failed: int


def wrk(port: int, path: str, body: str, connections: int, seconds: int) -> Load:
    with TemporaryDirectory() as folder:
        script = Path(folder) / "ask.lua"
        script.write_text(lua(body))
        done = subprocess.run(
            [
                "wrk",
                "--threads",
                "1",
                "--connections",
                str(connections),
                "--duration",
                f"{seconds}s",
                "--latency",
                "--timeout",
                "10s",
                "--script",
                str(script),
                f"http://127.0.0.1:{port}{path}",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    rate = float(match_in(done, r"Requests/sec:\s+([\d.]+)"))
    failed = int(match_in(done, r"Non-2xx or 3xx responses: (\d+)", "0"))
    sockets = match_in(done, r"Socket errors: connect (\d+, read \d+, write \d+, timeout \d+)", "0")
    failed += sum(map(int, re.findall(r"\d+", sockets)))
    return Load(rate, milliseconds(match_in(done, r"99%\s+(\S+)")), failed)


def lua(body: str) -> str:
    """Return wrk's script. Each request has another user, as the assignment and the log expect."""
    return f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
local body = [==[{body}]==]
function request()
  n = n + 1
  return wrk.format(nil, nil, nil, (body:gsub("%%d", n)))
end
"""


def match_in(text: str, pattern: str, otherwise: str = "") -> str:
    match = re.search(pattern, text)
    return match[1] if match else otherwise


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]
