"""wrk asks an address without a pause, and says how it went."""

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
            ["wrk", "--threads", "1", "--connections", str(connections),
             "--duration", f"{seconds}s", "--latency", "--timeout", "10s",
             "--script", str(script), f"http://127.0.0.1:{port}{path}"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    rate = float(found_in(done, r"Requests/sec:\s+([\d.]+)"))
    failed = int(found_in(done, r"Non-2xx or 3xx responses: (\d+)", "0"))
    sockets = found_in(done, r"Socket errors: connect (\d+, read \d+, write \d+, timeout \d+)", "0")
    failed += sum(map(int, re.findall(r"\d+", sockets)))
    return Load(rate, milliseconds(found_in(done, r"99%\s+(\S+)")), failed)


def lua(body: str) -> str:
    """Another user each time, for the router and the log to do their work."""
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


def found_in(text: str, pattern: str, otherwise: str = "") -> str:
    match = re.search(pattern, text)
    return match[1] if match else otherwise


def milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]
