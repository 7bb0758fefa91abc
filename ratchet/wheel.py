"""The wheel of this library. A Bento contains it, and the workers of a cluster import it."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ratchet.errors import InputError

SOURCE = Path(__file__).parents[1]  # the folder that the package lies in


def wheel(folder: Path) -> Path:
    """Return a wheel of the code that is running.

    If the code is in a checkout, the wheel is built into `folder`; two builds of the same code give
    the same bytes. Otherwise it is the wheel from which the library was installed.
    """
    return _build(folder) if (SOURCE / "pyproject.toml").is_file() else _installed_from()


def _build(folder: Path) -> Path:
    """Build the wheel in this environment, so that nothing is downloaded."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    if done.returncode:
        message = (done.stderr or done.stdout).strip()[-1000:]
        raise InputError(f"The wheel of {SOURCE} could not be built: {message}")
    (file,) = folder.glob("*.whl")
    return file


def _installed_from() -> Path:
    """Return the wheel file that pip or uv installed, which PEP 610 records in direct_url.json."""
    try:
        text = distribution("ratchet").read_text("direct_url.json")
    except PackageNotFoundError:
        text = None
    url = urlsplit(json.loads(text)["url"] if text else "")
    file = Path(url2pathname(url.path))
    if url.scheme == "file" and file.suffix == ".whl" and file.is_file():
        return file
    raise InputError(
        f"The wheel that ratchet was installed from is not on this machine (direct_url.json names"
        f" {url.geturl() or 'no file'}). Install ratchet from a wheel file and keep that file"
    )
