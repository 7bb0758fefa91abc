"""The bins that a profile counts a column's values in, frozen from reference values.

Numbers have fine bins (for KS) and coarse bins (the deciles, for PSI). A common value has a bin of
its own, so that ties cost no accuracy. Each common category has a bin; the rare ones share one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow

# KS that is read at bin edges misses the true distance by less than the reference's share of one
# bin. Rounding may move an edge by a twentieth of a bin, so the error is below 1.1 / 550 = 0.002.
FINE_BINS = 550
COARSE_BINS = 10
ROUNDING = 1 / 20

OWN_BIN_SHARE = 0.005  # a category with a smaller share is rare
OWN_BIN_ROWS = 10  # and so is one with fewer rows
MAX_RARE_NAMES = 1000  # rare names that are stored, to tell them from unseen ones
MAX_EXAMPLES = 20

CELLS = 1 << 15  # of the lookup table, which then fits into the processor's cache


@dataclass(frozen=True, eq=False)
class NumberBins:
    """The intervals (-inf, e0], (e0, e1], ... (en, inf). An atom is a bin with one value."""

    cuts: np.ndarray
    atoms: np.ndarray
    coarse: np.ndarray  # those of the edges that bound the bins of PSI

    @cached_property
    def edges(self) -> np.ndarray:
        return np.unique(np.concatenate([self.cuts, self.atoms, _just_below(self.atoms)]))

    def count(self, values: np.ndarray) -> np.ndarray:
        """Return the number of values per bin. The values have to be finite."""
        if not len(self.edges):
            return np.array([len(values)])
        if len(values) < CELLS or self._table.is_crowded:
            positions = np.searchsorted(np.sort(values), self.edges, side="right")
            return np.diff(positions, prepend=0, append=len(values))
        return np.bincount(self._table.bins_of(values), minlength=len(self.edges) + 1)

    @cached_property
    def _table(self) -> "_LookupTable":
        return _LookupTable(self.edges)

    def index(self, values: "pyarrow.Array") -> np.ndarray:
        """Return each value's position in `NumberCounts.shares`."""
        numbers = np.asarray(values.to_numpy(zero_copy_only=False), dtype=float)
        index = np.searchsorted(self.coarse, numbers, side="left")
        return np.where(np.isfinite(numbers), index, len(self.coarse) + 1)

    def to_coarse(self, counts: np.ndarray) -> np.ndarray:
        below: np.ndarray = np.cumsum(counts)[np.searchsorted(self.edges, self.coarse)]
        return np.diff(below, prepend=0, append=counts.sum())


class _LookupTable:
    """A table that finds the bin of a value five times faster than a binary search.

    The number line is cut into cells of equal width. `_cell` is monotone, so all edges in earlier
    cells are below the value; only the edges in the value's own cell are compared one by one.
    """

    def __init__(self, edges: np.ndarray) -> None:
        with np.errstate(over="ignore", divide="ignore"):
            self._low = edges[0]
            self._scale = min(CELLS / (edges[-1] - edges[0]), np.finfo(float).max)
        edges_per_cell = np.bincount(self._cell(edges), minlength=CELLS + 1)
        self._edges_before = (np.cumsum(edges_per_cell) - edges_per_cell).astype(np.int32)
        self._edges = np.append(edges, np.inf)
        self._most_edges = edges_per_cell.max()

    @property
    def is_crowded(self) -> bool:
        return bool(self._most_edges > 3)

    def _cell(self, values: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            cells = (values - self._low) * self._scale
        clipped: np.ndarray = np.clip(np.nan_to_num(cells, copy=False), 0, CELLS)
        return clipped.astype(np.int32)

    def bins_of(self, values: np.ndarray) -> np.ndarray:
        bins: np.ndarray = self._edges_before[self._cell(values)]
        for _ in range(self._most_edges):
            bins += values > self._edges[bins]
        return bins


def number_bins(values: np.ndarray) -> NumberBins:
    """Return bins of about equal share for these values.

    >>> bins = number_bins(np.array([1.0, 1.0, 2.0, 3.0]))
    >>> bins.atoms
    array([1., 2., 3.])
    >>> bins.count(np.array([0.0, 1.0, 1.5, 9.0]))
    array([1, 1, 1, 0, 0, 0, 1])
    """
    if not len(values):
        return NumberBins(np.array([]), np.array([]), np.array([]))
    distinct, counts = np.unique(values, return_counts=True)
    atoms = distinct[counts > len(values) / FINE_BINS]
    shares = np.arange(1, FINE_BINS) / FINE_BINS
    cuts = np.quantile(values, shares, method="inverted_cdf")
    cuts = np.where(np.isin(cuts, atoms), cuts, _rounded(cuts))
    deciles = cuts[FINE_BINS // COARSE_BINS - 1 :: FINE_BINS // COARSE_BINS]
    heavy = distinct[counts >= len(values) / COARSE_BINS]
    coarse = np.unique(np.concatenate([deciles, heavy, _just_below(heavy)]))
    ends = _just_below(distinct[0]), distinct[-1]  # the reference has no value beyond them
    return NumberBins(np.setdiff1d([*cuts, *ends], atoms), atoms, coarse)


def _just_below(values: np.ndarray) -> np.ndarray:
    return np.asarray(np.nextafter(values, -np.inf))


def _rounded(cuts: np.ndarray) -> np.ndarray:
    """Round each cut to as few digits as keep it close to its place between its neighbours."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        gaps = np.diff(cuts, prepend=-np.inf, append=np.inf)
        room = np.minimum(gaps[:-1], gaps[1:]) * ROUNDING
        digits = np.nan_to_num(np.ceil(np.log10(np.abs(cuts) / room)) + 1, nan=17, posinf=17)
    digits = np.clip(digits, 1, 17).astype(int)
    return np.array([float(f"{cut:.{d}g}") for cut, d in zip(cuts, digits, strict=True)])


@dataclass(frozen=True, eq=False)
class CategoryBins:
    """One bin per common name, one for all rare names, and one for names that are unseen."""

    names: tuple[str, ...]
    rare: tuple[str, ...] = ()
    open: bool = False  # there are more rare names than are stored, so none counts as unseen
    rows: int = 0  # that the names were taken from
    once: int = 0  # names that occurred once in those rows
    twice: int = 0

    def count(self, values: "pyarrow.Array") -> tuple[np.ndarray, dict[str, int]]:
        """Return the number of values per bin, and the number of rows per unseen name."""
        import pyarrow.compute as pc

        value_counts = pc.value_counts(values.drop_null())
        names, rows = value_counts.field("values"), value_counts.field("counts").to_numpy()
        position = pc.index_in(names, value_set=self._known)
        known = position.is_valid().to_numpy(zero_copy_only=False)
        bins = np.full(len(rows), len(self.names) + (0 if self.open else 1))
        bins[known] = np.minimum(position.drop_null().to_numpy(), len(self.names))
        counts = np.bincount(bins, weights=rows, minlength=len(self.names) + 2).astype(np.int64)
        unseen = [] if self.open else names.filter(position.is_null()).to_pylist()
        return counts, dict(zip(unseen, rows[~known].tolist(), strict=False))

    @cached_property
    def _known(self) -> "pyarrow.Array":
        import pyarrow

        return pyarrow.array([*self.names, *self.rare], pyarrow.string())

    def index(self, values: "pyarrow.Array") -> np.ndarray:
        """Return each value's position in `CategoryCounts.shares`."""
        import pyarrow.compute as pc

        common = pc.index_in(values, value_set=self._known.slice(0, len(self.names)))
        filled = pc.fill_null(common, len(self.names))
        index: np.ndarray = filled.to_numpy(zero_copy_only=False).astype(int)
        index[values.is_null().to_numpy(zero_copy_only=False)] = len(self.names) + 1
        return index

    def examples(self, unseen: dict[str, int]) -> dict[str, int]:
        """Return at most 20 unseen names: other spellings of known names first, then by name.

        The order does not depend on how the data were split, so examples of parts add up.
        """
        chosen = sorted(unseen, key=lambda name: (_folded(name) not in self._spellings, name))
        return {name: unseen[name] for name in chosen[:MAX_EXAMPLES]}

    def respelt(self, unseen: Iterable[str]) -> dict[str, str]:
        """Map unseen names to known ones that differ only in case, blanks, "-" or "_"."""
        known = self._spellings
        return {name: known[_folded(name)] for name in unseen if _folded(name) in known}

    @cached_property
    def _spellings(self) -> dict[str, str]:
        return {_folded(name): name for name in (*self.rare, *self.names)}


BOOLEAN_BINS = CategoryBins(("true", "false"))


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def category_bins(values: "pyarrow.Array") -> CategoryBins:
    """Return the bins for these values.

    >>> import pyarrow
    >>> category_bins(pyarrow.array(["red"] * 19 + ["blue"] * 16 + ["odd"]))
    CategoryBins(names=('red', 'blue'), rare=('odd',), open=False, rows=36, once=1, twice=0)
    """
    import pyarrow.compute as pc

    present = values.drop_null()
    counts = {str(pair["values"]): pair["counts"] for pair in pc.value_counts(present).to_pylist()}
    names = sorted(counts, key=lambda name: (-counts[name], name))
    fewest = max(OWN_BIN_ROWS, OWN_BIN_SHARE * len(present))
    own = sum(count >= fewest for count in counts.values())
    rare = names[own:]
    occurrences = list(counts.values())
    return CategoryBins(
        tuple(names[:own]),
        tuple(rare[:MAX_RARE_NAMES]),
        open=len(rare) > MAX_RARE_NAMES,
        rows=len(present),
        once=occurrences.count(1),
        twice=occurrences.count(2),
    )
