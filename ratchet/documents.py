"""YAML and JSON files, read as mappings."""

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ratchet.errors import InputError

SUFFIXES = (".yaml", ".yml", ".json")
MOST_VALUES = 10_000
DEEPEST = 30
# PyYAML raises these if a value does not fit its tag, and both raise the last if nesting is deep.
BROKEN = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


class _Loader(yaml.SafeLoader):
    """A loader that reads `1e-3` as a number, and refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        _refuse_repeats([self.construct_object(key, deep=True) for key in keys])
        return super().construct_mapping(node, deep)


# PyYAML follows YAML 1.1, where `1e-3` and `1.0e3` are text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _refuse_repeats(keys: list[Any]) -> None:
    repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
    if repeated:
        raise ValueError(f"key '{repeated[0]}' is given twice")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_repeats([key for key, _ in pairs])
    return dict(pairs)


def read_mapping(path: Path) -> dict[str, Any]:
    text = _text(path)
    try:
        content = _parse(text, path.suffix)
        _require_plain(content)
    except BROKEN as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise InputError(f"{path} is not valid {kind}: {error}") from None
    if not isinstance(content, dict):
        got = {list: "a list", type(None): "nothing"}.get(type(content)) or repr(content)
        raise InputError(f"{path} holds {got}; expected a mapping of keys to values")
    return content


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows writes a byte order mark
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a name ending in {', '.join(SUFFIXES)}")
    if not text.strip():
        raise InputError(f"{path} is empty; expected a mapping of keys to values")
    return text


def _parse(text: str, suffix: str) -> Any:
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=_pairs)
    return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)


def _require_plain(content: Any) -> None:
    """Raise ValueError for what JSON cannot hold, and for endless nesting by YAML aliases."""
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST_VALUES:
            raise ValueError(f"more than {DEEPEST} levels or {MOST_VALUES} values")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif not isinstance(value, str | int | float | None):
            raise ValueError(f"a {type(value).__name__}, {value}; for text put it in quotes")
