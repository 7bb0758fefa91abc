"""Reading YAML and JSON files that contain a mapping of keys to values."""

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
# PyYAML raises the first four if a value does not fit its tag. Both parsers raise RecursionError if
# the content is nested too deeply.
BROKEN = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)


class _Loader(yaml.SafeLoader):
    """A loader that reads `1e-3` as a number, and refuses a key that occurs twice in a mapping."""

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
        raise ValueError(f"key '{repeated[0]}' occurs twice; remove one of the two")


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
        raise InputError(f"{path} contains {got}; expected a mapping of keys to values")
    return content


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")  # Windows writes a byte order mark
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; is the path right?") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a file name that ends in {', '.join(SUFFIXES)}")
    if not text.strip():
        raise InputError(f"{path} is empty; expected a mapping of keys to values")
    return text


def _parse(text: str, suffix: str) -> Any:
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=_pairs)
    return yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)


def _require_plain(content: Any) -> None:
    """Raise ValueError if a value cannot be written as JSON, or if there are too many or too deep.

    YAML aliases can make a small file endlessly deep.
    """
    waiting, seen = [(content, 0)], 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST_VALUES:
            raise ValueError(f"it has more than {DEEPEST} levels or more than {MOST_VALUES} values")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif not isinstance(value, str | int | float | None):
            raise ValueError(
                f"{value} is a {type(value).__name__}; expected a text, a number, true or false. If"
                " it is a text, put it in quotes"
            )
