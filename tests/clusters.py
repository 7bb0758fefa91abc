"""PostgreSQL clusters of the tests' own, which may be stopped and started."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.projects import free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@dataclass(frozen=True)
class Cluster:
    folder: Path
    port: int

    def create(self, database: str) -> str:
        """Create the database and return its address."""
        where = ("-h", "localhost", "-p", str(self.port), "-U", "ratchet")
        self.call("createdb", *where, database)
        return f"postgresql://ratchet@localhost:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=localhost"
        options += f" -c fsync=off -c unix_socket_directories={self.folder}"
        self.call(
            "pg_ctl", *self._data, "-w", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    def stop(self) -> None:
        self.call("pg_ctl", *self._data, "-w", "-m", "immediate", "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all its processes with a signal; the kernel still accepts what is sent to them."""
        postmaster = psutil.Process(
            int((self.folder / "data/postmaster.pid").read_text().split()[0])
        )
        family = [postmaster, *postmaster.children(recursive=True)]
        for one in family:
            one.suspend()
        try:
            yield
        finally:
            for one in family:
                one.resume()

    @property
    def is_up(self) -> bool:
        return (self.folder / "data" / "postmaster.pid").exists()

    @property
    def _data(self) -> tuple[str, str]:
        return ("-D", str(self.folder / "data"))

    def call(self, program: str, *arguments: str) -> None:
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, str(BINARIES[-1].parent / program), *arguments]
        # The output goes to a file: the server inherits it and would keep a pipe open.
        with (self.folder / f"{program}.txt").open("w") as output:
            done = subprocess.run(
                command, cwd=self.folder, stdout=output, stderr=output, check=False
            )
        assert done.returncode == 0, Path(output.name).read_text()


@contextmanager
def new_cluster() -> Iterator[Cluster]:
    """Start a cluster. PostgreSQL refuses to run as root, so root starts it as another user."""
    if not BINARIES:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="pg")), free_port())
    if os.geteuid() == 0:
        postgres = pwd.getpwnam("postgres")
        os.chown(cluster.folder, postgres.pw_uid, postgres.pw_gid)
    data = str(cluster.folder / "data")
    try:
        cluster.call("initdb", "-D", data, "-U", "ratchet", "-A", "trust", "--no-sync")
        cluster.start()
        yield cluster
    finally:
        if cluster.is_up:
            cluster.stop()
        shutil.rmtree(cluster.folder)
