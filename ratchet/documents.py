"""A YAML or JSON file as a mapping, or an error that says what is wrong with it."""

import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from ratchet.errors import InputError

SUFFIXES = (".yaml", ".yml", ".json")


class _Loader(yaml.SafeLoader):
    """YAML as people read it: `1e-3` is a number, and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        pairs = [(self.construct_object(key, deep=True), key) for key, _ in node.value]
        _refuse_repeats([key for key, _ in pairs])
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
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a name ending in {', '.join(SUFFIXES)}")
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; save it as UTF-8") from None
    if not text.strip():
        raise InputError(f"{path} is empty; expected a mapping of keys to values")
    try:
        if path.suffix == ".json":
            content = json.loads(text, object_pairs_hook=_pairs)
        else:
            content = yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except (yaml.YAMLError, ValueError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise InputError(f"{path} is not valid {kind}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        got = "a list" if isinstance(content, list) else repr(content)
        raise InputError(f"{path} holds {got}; expected a mapping of keys to values")
    return content
