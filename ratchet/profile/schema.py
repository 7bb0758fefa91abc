"""Changes of the columns themselves: missing or unknown columns, other types or spellings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ratchet.errors import InputError, nearest
from ratchet.profile.counting import Column
from ratchet.profile.profile import CategoryCounts, Counts, Profile


@dataclass(frozen=True)
class Schema:
    extra: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    respelt: dict[str, dict[str, str]] = field(default_factory=dict)  # column: {now: before}

    @property
    def sentences(self) -> list[str]:
        lines = [f"`{name}`: {change}" for name, change in self.changed.items()]
        for name, words in self.respelt.items():
            pairs = ", ".join(f"{now!r} for {before!r}" for now, before in words.items())
            lines.append(f"`{name}`: other spellings, {pairs}")
        if self.extra:
            lines.append(f"columns that the model does not know: {', '.join(self.extra)}")
        return lines


def check_columns(known: Collection[str], reference: Profile, where: str) -> None:
    missing = [name for name in reference.features if name not in known]
    if not missing:
        return
    if len(missing) == len(reference.features):
        raise InputError(
            f"{where} has no column in common with the reference; it has {_few(known)},"
            f" the reference has {_few(reference.features)}. Check that this is the right file"
        )
    raise InputError(
        f"{where} has no column '{missing[0]}', which the model needs"
        f"{f' (nor {_few(missing[1:])})' if missing[1:] else ''}; {nearest(missing[0], known)}"
    )


def _few(names: Collection[str], most: int = 5) -> str:
    first = ", ".join(list(names)[:most])
    return first + (f" and {len(names) - most} more" if len(names) > most else "")


def schema(
    types: Mapping[str, str],
    columns: Mapping[str, Column],
    features: Mapping[str, Counts],
    not_features: Collection[str],
) -> Schema:
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


def _change(column: Column, sql_type: str, counts: Counts) -> str | None:
    if counts.unreadable:
        share = counts.unreadable / counts.rows
        return f"{column.kind} in the reference; {share:.1%} of the values now are not"
    if column.kind == "categorical" and not column.numbers and not column.accepts(sql_type):
        return f"text in the reference; {sql_type} now"
    return None
