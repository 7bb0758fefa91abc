"""The files of a source: found on this machine, or fetched from an fsspec address."""

import re
from pathlib import Path
from typing import Any

from ratchet.errors import InputError, nearest

TOYS = ("iris", "wine", "breast_cancer", "digits")  # that are no files
SECONDS = 10  # that an address has to answer
GLOB = re.compile(r"[*?[]")


def local_files(source: str, setting: str) -> list[str]:
    root = Path(source).anchor
    try:
        paths = [Path(source)]
        if GLOB.search(source):
            paths = sorted(Path(root or ".").glob(source.removeprefix(root)))
        sizes = {str(path): path.stat().st_size for path in paths if path.is_file()}
    except (OSError, ValueError) as error:
        raise InputError(f"'{source}' ({setting}) is no path: {error}") from None
    return _filled_files(source, sizes, setting)


def _filled_files(source: str, sizes: dict[str, int], setting: str) -> list[str]:
    if not sizes:
        hint = nearest(source, TOYS) if re.fullmatch(r"\w+", source) else "is the path right?"
        raise InputError(f"No file at '{source}' ({setting}); {hint}")
    for file, size in sizes.items():
        if not size:
            raise InputError(f"{file} is empty; expected a header and rows")
    return list(sizes)


def fetched_files(source: str, folder: Path, setting: str) -> list[str]:
    import fsspec

    protocol = source.split("://")[0]
    try:
        system = fsspec.filesystem(protocol, **_patience(protocol))
        found = sorted(system.glob(source)) if "*" in source else [source]
        copies = {_fetched(system, path, folder): 1 for path in found}
        return _filled_files(source, copies, setting)
    except InputError:
        raise
    except Exception as error:  # each file system raises errors of its own
        raise InputError(
            f"'{source}' ({setting}) does not answer: {_refusal(error)}; is the address right?"
        ) from None


def _refusal(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, TimeoutError):
        return f"silent for {SECONDS} seconds"
    return str(error) or type(error).__name__


def _fetched(system: Any, address: str, folder: Path) -> str:
    """Under the same folders, whose names may be a partition's."""
    name = address.split("://")[-1].split("?")[0].replace("..", "_").strip("/")
    copy = folder / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    system.get_file(address, str(copy))
    _filled_files(address, {address: copy.stat().st_size}, "")
    return str(copy)


def _patience(protocol: str) -> dict[str, Any]:
    """fsspec would wait for five minutes."""
    if protocol not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=SECONDS, sock_read=SECONDS)
    return {"client_kwargs": {"timeout": timeout}}
