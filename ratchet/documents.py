"""A YAML or JSON file as a mapping, or an error that says what is wrong with it."""

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
# What PyYAML raises on a value that is not what its tag says, and what it and json raise on depth.
BROKEN = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


class _Loader(yaml.SafeLoader):
    """YAML as people read it: `1e-3` is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        _refuse_repeats([self.construct_object(key, deep=True) for key in keys])
        return super().construct_mapping(node, deep)


# PyYAML follows YAML 1.1, in which `1e-3` and `1.0e3` are text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _refuse_repeats(keys: list[Any]) -> None:
    repeated = sorted({str(key) for key in keys if keys.count(key) > 1})
    if repeated:
        raise ValueError(f"key '{repeated[0]}' stands twice")


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
        text = path.read_text(encoding="utf-8-sig")  # Windows puts a mark before it
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
    """What JSON can say, and no more of it than a person writes: a YAML alias may hold itself."""
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
