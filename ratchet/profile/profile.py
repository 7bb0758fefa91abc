"""A profile: a data set reduced to counts in frozen bins. Profiles of parts add up."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ratchet.columns import Kind
from ratchet.errors import InputError
from ratchet.profile.bins import CategoryBins, NumberBins

VERSION = 2


@dataclass(frozen=True, eq=False)
class NumberCounts:
    """The counts of numbers, or of dates as seconds since 1970. Infinite numbers are missing."""

    kind: Kind
    bins: NumberBins
    counts: np.ndarray
    missing: int = 0
    unreadable: int = 0  # missing because the value is not a number

    @property
    def rows(self) -> int:
        return int(self.counts.sum()) + self.missing

    @property
    def shares(self) -> np.ndarray:
        """Return the counts that PSI compares: the coarse bins, then the missing values."""
        return np.append(self.bins.to_coarse(self.counts), self.missing)

    def __add__(self, other: "NumberCounts") -> "NumberCounts":
        return replace(
            self,
            counts=self.counts + other.counts,
            missing=self.missing + other.missing,
            unreadable=self.unreadable + other.unreadable,
        )

    def as_json(self) -> dict[str, Any]:
        edges = {key: getattr(self.bins, key).tolist() for key in ("cuts", "atoms", "coarse")}
        return {
            "kind": self.kind,
            **edges,
            "counts": self.counts.tolist(),
            "missing": self.missing,
            "unreadable": self.unreadable,
        }


@dataclass(frozen=True, eq=False)
class CategoryCounts:
    """The counts of text, of numbers that name categories, or of booleans."""

    kind: Kind
    numbers: bool  # the categories are numbers: 1 and 1.0 are one category
    bins: CategoryBins
    counts: np.ndarray  # per common name, then of all rare names, then of all unseen names
    missing: int = 0
    unreadable: int = 0
    examples: Mapping[str, int] = field(default_factory=dict)  # unseen names and their rows

    @property
    def rows(self) -> int:
        return int(self.counts.sum()) + self.missing

    @property
    def unseen(self) -> int:
        return int(self.counts[-1])

    @property
    def shares(self) -> np.ndarray:
        """Return the counts that PSI compares: common names, all other names, missing values."""
        pooled = self.counts[-2:].sum()
        return np.concatenate([self.counts[:-2], [pooled, self.missing]])

    def share_of(self, name: str) -> float | None:
        """Return the share of a name among the values that are not missing."""
        present = int(self.counts.sum())
        return int(self.counts[self.bins.names.index(name)]) / present if present else None

    def __add__(self, other: "CategoryCounts") -> "CategoryCounts":
        names = self.examples.keys() | other.examples.keys()
        both = {name: self.examples.get(name, 0) + other.examples.get(name, 0) for name in names}
        return replace(
            self,
            counts=self.counts + other.counts,
            missing=self.missing + other.missing,
            unreadable=self.unreadable + other.unreadable,
            examples=self.bins.examples(both),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "numbers": self.numbers,
            "names": list(self.bins.names),
            "rare": list(self.bins.rare),
            "open": self.bins.open,
            "seen": [self.bins.rows, self.bins.once, self.bins.twice],
            "counts": self.counts.tolist(),
            "missing": self.missing,
            "unreadable": self.unreadable,
            "examples": dict(self.examples),
        }


Counts = NumberCounts | CategoryCounts
AnyCounts = TypeVar("AnyCounts", bound=Counts)


@dataclass(frozen=True)
class Profile:
    """The counts of a data set. `prediction` and `right` cover the rows that a model answered."""

    rows: int
    features: Mapping[str, Counts]
    target: CategoryCounts | None = None
    prediction: CategoryCounts | None = None
    right: CategoryCounts | None = None  # of labelled rows with a prediction: is it right?

    def __add__(self, other: "Profile") -> "Profile":
        return Profile(
            self.rows + other.rows,
            {name: summed(counts, other.features[name]) for name, counts in self.features.items()},
            *(summed(getattr(self, part), getattr(other, part)) for part in PARTS),
        )


PARTS = ("target", "prediction", "right")


def emptied(counts: AnyCounts) -> AnyCounts:
    """Return the same bins with no rows in them."""
    zeros = np.zeros_like(counts.counts)
    if isinstance(counts, CategoryCounts):
        return replace(counts, counts=zeros, missing=0, unreadable=0, examples={})
    return replace(counts, counts=zeros, missing=0, unreadable=0)


def summed(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other


def to_json(profile: Profile) -> str:
    content: dict[str, Any] = {"version": VERSION, "rows": profile.rows}
    content["features"] = {name: counts.as_json() for name, counts in profile.features.items()}
    for part in PARTS:
        counts = getattr(profile, part)
        content[part] = None if counts is None else counts.as_json()
    return json.dumps(content, separators=(",", ":"))


def from_json(text: str, where: str) -> Profile:
    try:
        content = json.loads(text)
        if content["version"] != VERSION:
            raise InputError(
                f"{where} has the profile version {content['version']}; expected {VERSION}."
                " Train again: mlflow run . -e train"
            )
        features = {name: _counts(counts) for name, counts in content["features"].items()}
        parts: list[Any] = [_counts(content[part]) if content[part] else None for part in PARTS]
        return Profile(content["rows"], features, *parts)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{where} is not a profile ({type(error).__name__}: {error})."
            " Train again: mlflow run . -e train"
        ) from None


def _counts(content: dict[str, Any]) -> Counts:
    counts = np.array(content["counts"], dtype=np.int64)
    others = {"missing": content["missing"], "unreadable": content["unreadable"]}
    if "cuts" in content:
        bins = NumberBins(*(np.array(content[key], float) for key in ("cuts", "atoms", "coarse")))
        return NumberCounts(content["kind"], bins, counts, **others)
    names = CategoryBins(
        tuple(content["names"]), tuple(content["rare"]), content["open"], *content["seen"]
    )
    return CategoryCounts(
        content["kind"], content["numbers"], names, counts, **others, examples=content["examples"]
    )
