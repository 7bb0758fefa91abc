"""Web addresses of workflow runs on GitHub, and of runs on an MLflow server."""

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit


def repository_url(env: Mapping[str, str]) -> str:
    server = env.get("GITHUB_SERVER_URL", "https://github.com")
    return f"{server}/{env.get('GITHUB_REPOSITORY', '')}"


def run_url(env: Mapping[str, str]) -> str | None:
    """Return the address of this workflow run, or None outside GitHub Actions.

    >>> run_url({"GITHUB_REPOSITORY": "me/fork", "GITHUB_RUN_ID": "7"})
    'https://github.com/me/fork/actions/runs/7'
    """
    if "GITHUB_RUN_ID" not in env:
        return None
    return f"{repository_url(env)}/actions/runs/{env['GITHUB_RUN_ID']}"


def tracking_link(run_id: str, experiment: str, env: Mapping[str, str]) -> str | None:
    """Return a Markdown link to a run on the MLflow server. Without a server, return None."""
    address = tracking_address(run_id, experiment, env.get("MLFLOW_TRACKING_URI", ""))
    return f"[run]({address})" if address else None


def tracking_address(run_id: str, experiment: str, server: str) -> str | None:
    """Return the address of a run on an MLflow server, or None if `server` is not an address.

    >>> tracking_address("ab12", "0", "https://me:secret@ml.example.org/")
    'https://ml.example.org/#/experiments/0/runs/ab12'
    """
    if not server.startswith("http"):
        return None
    return f"{without_credentials(server).rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"


def without_credentials(address: str) -> str:
    """
    >>> without_credentials("https://me:se@cret@ml.example.org:5000/a")
    'https://ml.example.org:5000/a'
    """
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
