"""The files of a source: found on this machine, fetched from an address, unpacked from a .zip."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from ratchet.errors import InputError, nearest

TOYS = ("iris", "wine", "breast_cancer", "digits")  # come with scikit-learn, not from a file
SECONDS = 10  # the time that an address has to answer
GLOB = re.compile(r"[*?[]")


def local_files(source: str, setting: str) -> list[str]:
    try:
        path = Path(source).expanduser()
        paths = [path]
        if GLOB.search(source):
            paths = sorted(Path(path.anchor or ".").glob(str(path).removeprefix(path.anchor)))
        sizes = {str(path): path.stat().st_size for path in paths if path.is_file()}
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"'{source}' ({setting}) is not a path: {error}. Give the path of a file"
        ) from None
    return _filled_files(source, sizes, setting)


def _filled_files(source: str, sizes: dict[str, int], setting: str) -> list[str]:
    if not sizes:
        raise InputError(f"No file at '{source}' ({setting}); {_hint(source)}")
    for file, size in sizes.items():
        if not size:
            raise InputError(f"{file} is empty; expected a header and rows")
    return list(sizes)


def _hint(source: str) -> str:
    """Return what to do if there is no file: the name of a similar file, or of an example table."""
    if "://" in source or GLOB.search(source):
        return "is the path right?"
    path = Path(source).expanduser()
    with suppress(OSError, ValueError):
        if path.is_dir():
            return f"it is a folder. Name the files in it, such as '{path / '*.csv'}'"
        files = [file.name for file in path.parent.iterdir() if file.is_file()]
        if similar := get_close_matches(path.name, files, n=1):
            return f"did you mean '{path.with_name(similar[0])}'?"
    return nearest(source, TOYS) if re.fullmatch(r"\w+", source) else "is the path right?"


def fetched_files(source: str, folder: Path, setting: str) -> list[str]:
    with _file_system(source, setting) as system:
        copies = {_fetched(system, path, folder): 1 for path in _addresses(system, source)}
        return _filled_files(source, copies, setting)


def listed_files(source: str, setting: str) -> list[str]:
    """Return the absolute path or address of each file, for another machine to open."""
    if "://" not in source:
        return [str(Path(file).absolute()) for file in local_files(source, setting)]
    with _file_system(source, setting) as system:
        names = [str(system.unstrip_protocol(path)) for path in _addresses(system, source)]
        return _filled_files(source, dict.fromkeys(names, 1), setting)


def unzipped(files: list[str], folder: Path) -> list[str]:
    """Return the files, each .zip replaced by the files in it, unpacked into the folder."""
    members: list[str] = []
    for file in files:
        members += _members(file, folder) if file.endswith(".zip") else [file]
    return members


def _members(file: str, folder: Path) -> list[str]:
    try:
        with ZipFile(file) as archive:
            names = [
                name
                for name in archive.namelist()
                if not name.endswith("/") and not name.startswith("__MACOSX")
            ]
            paths = {archive.extract(name, folder / Path(file).name): name for name in names}
    except (BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise InputError(
            f"{file} cannot be unpacked: {error}. Unpack it, and name the file in it"
        ) from None
    if len({Path(name).suffix for name in names}) != 1:
        raise InputError(
            f"{file} holds {', '.join(names[:5]) or 'nothing'}; expected one file, or several of"
            " one table. Unpack it, and name the files that you mean"
        )
    return _filled_files(file, {path: Path(path).stat().st_size for path in paths}, "")


@contextmanager
def _file_system(source: str, setting: str) -> Iterator[Any]:
    import fsspec

    protocol = source.split("://")[0]
    try:
        yield fsspec.filesystem(protocol, **_timeouts(protocol))
    except InputError:
        raise
    except Exception as error:  # each file system raises its own errors
        raise InputError(
            f"'{source}' ({setting}) does not answer: {_reason(error)}; is the address right?"
        ) from None


def _addresses(system: Any, source: str) -> list[str]:
    return sorted(system.glob(source)) if "*" in source else [source]


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS} seconds"
    return str(error) or type(error).__name__


def _fetched(system: Any, address: str, folder: Path) -> str:
    """Copy a file under the folders of its address: their names may be those of a partition."""
    name = address.split("://")[-1].split("?")[0].replace("..", "_").strip("/")
    copy = folder / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    system.get_file(address, str(copy))
    _filled_files(address, {address: copy.stat().st_size}, "")
    return str(copy)


def _timeouts(protocol: str) -> dict[str, Any]:
    """Return the options that make fsspec give up after `SECONDS` instead of five minutes."""
    if protocol not in ("http", "https"):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=SECONDS, sock_read=SECONDS)
    return {"client_kwargs": {"timeout": timeout}}
