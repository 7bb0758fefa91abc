"""Stores on a git remote, for the tests: remotes, checkouts of them, runs that change a store."""

import base64
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.projects import environment, run, run_python


def new_remote(folder: Path) -> Path:
    done = run(["git", "init", "--quiet", "--bare", str(folder)], folder.parent)
    assert done.returncode == 0, done.stderr
    return folder


def new_checkout(folder: Path, remote: Path) -> Path:
    """Create a folder with this git remote, like the checkout of a job."""
    folder.mkdir(parents=True)
    run(["git", "init", "--quiet"], folder)
    run(["git", "remote", "add", "origin", str(remote)], folder)
    return folder


def new_store(folder: Path) -> Path:
    """Create an empty MLflow store."""
    script = "import mlflow, logging; logging.disable(); mlflow.MlflowClient().search_experiments()"
    done = run([sys.executable, "-c", script], folder)
    assert done.returncode == 0, done.stderr
    return folder / "mlflow.db"


def add_version(database: Path, number: int) -> None:
    """Add a run with an artifact by SQL, because MLflow takes seconds to load."""
    where = database.parent / "mlruns" / "0" / f"run{number}" / "artifacts"
    where.mkdir(parents=True)
    (where / "model.skops").write_bytes(bytes([number % 256]) * 100)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "INSERT INTO runs (run_uuid, name, experiment_id, artifact_uri, lifecycle_stage,"
            " status, source_type) VALUES (?, 'train', 0, ?, 'active', 'FINISHED', 'LOCAL')",
            (f"run{number}", str(where)),
        )
        connection.execute(
            "INSERT INTO tags (run_uuid, key, value) VALUES (?, 'number', ?)",
            (f"run{number}", str(number)),
        )


def runs(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return sorted(name for (name,) in connection.execute("SELECT run_uuid FROM runs"))


def artifacts(database: Path) -> list[Path]:
    with closing(sqlite3.connect(database)) as connection:
        return [Path(uri) for (uri,) in connection.execute("SELECT artifact_uri FROM runs")]


def store_on(remote: Path, folder: Path, ref: str = "refs/ratchet/store") -> Path:
    """Check out the store with plain git; the folder stays empty if the remote has none."""
    run(["git", "init", "--quiet", str(folder)], remote)
    run(["git", "fetch", "--quiet", str(remote), ref], folder)
    run(["git", "checkout", "--quiet", "--force", "FETCH_HEAD"], folder)
    return folder / "mlflow.db"


def lock_is_held(remote: Path) -> bool:
    return "refs/ratchet/lock" in run(["git", "for-each-ref"], remote).stdout


def python(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return run_python(["-c", script], folder, **env)


@contextmanager
def serving_git(folder: Path, token: str) -> Iterator[str]:
    """Serve a folder's repositories by smart HTTP, as GitHub does; yield the server's address."""
    expected = "basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            if self.headers.get("Authorization") != expected:
                self.send_error(401)
                return
            path, _, query = self.path.partition("?")
            variables = {
                "GIT_PROJECT_ROOT": str(folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "me",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            done = subprocess.run(
                ["git", "http-backend"],
                input=self._body(),
                capture_output=True,
                check=True,
                env=environment(**variables),
            )
            header, _, body = done.stdout.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in header.decode().splitlines()]
            headers = dict(lines)
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
