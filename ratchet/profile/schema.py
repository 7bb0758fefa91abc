"""What changed in the columns themselves, named before any statistic is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ratchet.errors import InputError, nearest
from ratchet.profile.counting import Column
from ratchet.profile.profile import CategoryCounts, Counts, Profile


@dataclass(frozen=True)
class Schema:
    extra: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    respelt: dict[str, dict[str, str]] = field(default_factory=dict)  # column: now, before

    @property
    def sentences(self) -> list[str]:
        lines = [f"`{name}`: {change}" for name, change in self.changed.items()]
        for name, words in self.respelt.items():
            pairs = ", ".join(f"{now!r} for {before!r}" for now, before in words.items())
            lines.append(f"`{name}`: other spellings, {pairs}")
        if self.extra:
            lines.append(f"columns the model does not know: {', '.join(self.extra)}")
        return lines


def check_columns(known: Collection[str], reference: Profile, where: str) -> None:
    absent = [name for name in reference.features if name not in known]
    if not absent:
        return
    if len(absent) == len(reference.features):
        raise InputError(
            f"{where} has no column in common with the reference; it has {_few(known)},"
            f" the reference has {_few(reference.features)}. Is that the right file?"
        )
    raise InputError(
        f"{where} has no column '{absent[0]}', which the model needs"
        f"{f' (nor {_few(absent[1:])})' if absent[1:] else ''}; {nearest(absent[0], known)}"
    )


def _few(names: Collection[str], most: int = 5) -> str:
    shown = ", ".join(list(names)[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def schema(
    types: Mapping[str, str], columns: Mapping[str, Column], features: Mapping[str, Counts],
    not_features: Collection[str],
) -> Schema:  # fmt: skip
    changes = {
        name: _change(columns[name], types[name], counts) for name, counts in features.items()
    }
    respelt = {
        name: counts.bins.respelt(counts.examples)
        for name, counts in features.items()
        if isinstance(counts, CategoryCounts)
    }
    return Schema(
        [name for name in types if name not in features and name not in not_features],
        {name: change for name, change in changes.items() if change},
        {name: words for name, words in respelt.items() if words},
    )


def _change(column: Column, kind: str, counts: Counts) -> str | None:
    if counts.unreadable:
        share = counts.unreadable / counts.rows
        return f"{column.kind} in the reference; {share:.1%} of the values now are not"
    if column.kind == "categorical" and not column.numbers and not column.expects(kind):
        return f"text in the reference; {kind} now"
    return None
