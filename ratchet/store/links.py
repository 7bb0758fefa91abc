"""Where a reader of a job summary finds a run: on the tracking server, or on the store's branch."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from ratchet.store.branch import BRANCH


def run_link(run_id: str, experiment: str, artifacts: str, env: Mapping[str, str]) -> str | None:
    """
    >>> server = {"MLFLOW_TRACKING_URI": "https://ml.example.org"}
    >>> run_link("ab12", "0", "mlflow-artifacts:/0/ab12/artifacts", server)
    '[run](https://ml.example.org/#/experiments/0/runs/ab12)'
    >>> github = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "me/fork"}
    >>> run_link("ab12", "0", f"{Path.cwd()}/mlruns/0/ab12/artifacts", github)
    '[pictures](https://github.com/me/fork/tree/ratchet-store/mlruns/0/ab12/artifacts)'
    >>> run_link("ab12", "0", "mlruns/0/ab12/artifacts", {}) is None
    True
    """
    server = env.get("MLFLOW_TRACKING_URI", "")
    if server.startswith("http"):
        return f"[run]({server.rstrip('/')}/#/experiments/{experiment}/runs/{run_id})"
    folder = Path(artifacts)
    if server or "GITHUB_REPOSITORY" not in env or not folder.is_relative_to(Path.cwd()):
        return None
    github = env.get("GITHUB_SERVER_URL", "https://github.com")
    repository = f"{github}/{env['GITHUB_REPOSITORY']}"
    where = quote(folder.relative_to(Path.cwd()).as_posix())
    return f"[pictures]({repository}/tree/{BRANCH.removeprefix('refs/heads/')}/{where})"


def link_of(run_id: str) -> str | None:
    import mlflow

    info = mlflow.get_run(run_id).info
    return run_link(run_id, info.experiment_id, info.artifact_uri or "", os.environ)
