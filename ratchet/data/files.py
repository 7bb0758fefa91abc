"""The files of a source: found on this machine, or fetched from an fsspec address."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
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
    with _answering(source, setting) as system:
        copies = {_fetched(system, path, folder): 1 for path in _found(system, source)}
        return _filled_files(source, copies, setting)


def listed_files(source: str, setting: str) -> list[str]:
    """Their addresses, such that another machine finds them where it can."""
    if "://" not in source:
        return [str(Path(file).absolute()) for file in local_files(source, setting)]
    with _answering(source, setting) as system:
        names = [str(system.unstrip_protocol(path)) for path in _found(system, source)]
        return _filled_files(source, dict.fromkeys(names, 1), setting)


@contextmanager
def _answering(source: str, setting: str) -> Iterator[Any]:
    """Its file system."""
    import fsspec

    protocol = source.split("://")[0]
    try:
        yield fsspec.filesystem(protocol, **_patience(protocol))
    except InputError:
        raise
    except Exception as error:  # each file system raises errors of its own
        raise InputError(
            f"'{source}' ({setting}) does not answer: {_refusal(error)}; is the address right?"
        ) from None


def _found(system: Any, source: str) -> list[str]:
    return sorted(system.glob(source)) if "*" in source else [source]


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
