#!/usr/bin/env -S python3 -I -S
"""The request for a fork of the warm process, with the standard library only."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory


def run_in_fork(
    address: str, arguments: list[str], folder: Path, env: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Return what `python <arguments>` (-m module or -c script) leaves in that folder."""
    with TemporaryDirectory() as outputs, socket.socket(socket.AF_UNIX) as connection:
        out, err = Path(outputs, "out"), Path(outputs, "err")
        connection.connect(address)
        request = [arguments, str(folder.absolute()), dict(env), str(out), str(err)]
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        code = int(read_all(connection))
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def read_all(connection: socket.socket) -> str:
    return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def main() -> None:
    """Stand in for python in act: run a step in a fork, and anything else in the real Python."""
    arguments = sys.argv[1:]
    if len(arguments) < 2 or arguments[0] != "-m" or not arguments[1].startswith("steps."):
        real = f"{os.environ['WARM_ENVIRONMENT']}/bin/python"
        os.execv(real, [real, *arguments])
    done = run_in_fork(os.environ["WARM_ADDRESS"], arguments, Path.cwd(), os.environ)
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    sys.stderr.write(done.stderr)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
