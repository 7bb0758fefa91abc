"""Cases of benchmarks.drift_quality beyond independent normal columns: ties, names, users, days.

Each case returns for a seed whether a check says drift. All run the whole check: profiles, samples,
the dependence between features, and joint shifts. To be quick, all checks of a process share one
DuckDB connection, and ten checks of the same 13 columns share one reference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from ratchet.columns import Kind
from ratchet.data import source
from ratchet.data.source import connect, of_frame
from ratchet.drift.comparison import Drift, compare
from ratchet.drift.dependence import dependence
from ratchet.drift.joint import joint_shift
from ratchet.drift.periods import period_spread
from ratchet.profile.reading import (
    Reading,
    one_per_unit,
    read_current,
    read_rows,
    read_training,
    with_answers,
)
from ratchet.settings import DataSettings, DriftSettings

Columns = dict[str, Any]
Sides = Callable[[int], tuple[Columns, Columns]]  # a seed: the reference and the current data
Generator = np.random.Generator
DATA = DataSettings(source="table.csv", target="(none)")
N, M = 2000, 1000
CHECKS_OF_A_REFERENCE = 10


@dataclass(frozen=True)
class Case:
    truth: str
    rows: int
    drifted: Callable[[int], bool]
    least: float = 0.0
    most: float = 1.0
    sides: Sides | None = None  # the same data, for other tools


def case(truth: str, sides: Sides, least: float = 0.0, most: float = 1.0) -> Case:
    def drifted(seed: int) -> bool:
        return check(*sides(seed)).finding == "drifted"

    return Case(truth, M, drifted, least, most, sides)


def kind_of(values: Any) -> Kind:
    return "categorical" if isinstance(values[0], str) else "numeric"


@cache
def shared_connection() -> Any:
    connection = connect()
    connection.execute("SET threads = 1")
    return connection


source.connect = lambda: shared_connection().cursor()  # a new database takes 25 ms


def check(before: Columns, now: Columns, time: str | None = None) -> Drift:
    return checked(reference_of(before, time), now, time)


def reference_of(columns: Columns, time: str | None = None) -> Reading:
    kinds: dict[str, Kind] = {name: kind_of(values) for name, values in columns.items()}
    if time:
        kinds[time] = "date"
    frame = pd.DataFrame(columns)
    return read_training(frame, np.resize(["yes", "no"], len(frame)), kinds)


def checked(reference: Reading, now: Columns, time: str | None = None) -> Drift:
    return compared(reference, read_current(pd.DataFrame(now), DATA, reference.profile)[0], time)


def compared(reference: Reading, current: Reading, time: str | None = None) -> Drift:
    names = tuple(name for name in reference.profile.features if name != time)
    one, other = reference.profile, current.profile
    samples = reference.sample, current.sample
    return compare(
        one,
        other,
        dependence(*(sample.select(names) for sample in samples)),
        DriftSettings(time=time),
        joint=joint_shift(one, other, reference.sample, names),
        periods=period_spread(time, one, other, *samples) if time else None,
    )


def drifted_by_columns(reference: Reading, current: Reading) -> bool:
    drift = compare(reference.profile, current.profile, None, DriftSettings())
    return drift.finding == "drifted"


def unchanged(columns: Callable[[Generator, int], Columns]) -> Sides:
    def sides(seed: int) -> tuple[Columns, Columns]:
        rng = np.random.default_rng(seed)
        return columns(rng, N), columns(rng, M)

    return sides


def words(codes: np.ndarray) -> np.ndarray:
    names = np.array([f"w{code}" for code in range(codes.min(), codes.max() + 1)], dtype=object)
    return np.asarray(names[codes - codes.min()])


def half_missing(rng: Generator, rows: int) -> Columns:
    values = rng.normal(size=(6, rows))
    values[rng.random((6, rows)) < 0.5] = np.nan
    return {f"n{i}": column for i, column in enumerate(values)}


def eight_categories(rng: Generator, rows: int) -> Columns:
    return {f"c{i}": words(rng.integers(0, 3, rows)) for i in range(8)}


def mixed(rng: Generator, rows: int) -> Columns:
    number = rng.normal(size=rows)
    levels = np.clip(np.round(number + rng.normal(size=rows)), -2, 2).astype(int)
    signs = (number + rng.normal(size=rows) > 0).astype(int)
    return {"number": number, "level": words(levels), "sign": words(signs)}


def many_names(names: int) -> Callable[[Generator, int], Columns]:
    shares = np.random.default_rng(names).dirichlet(np.full(names, 2.0))

    def columns(rng: Generator, rows: int) -> Columns:
        return {"name": words(rng.choice(names, rows, p=shares)), "n": rng.normal(size=rows)}

    return columns


def new_name(seed: int) -> tuple[Columns, Columns]:
    rng = np.random.default_rng(seed)
    before, now = many_names(20)(rng, N), many_names(20)(rng, M)
    now["name"] = np.where(rng.random(M) < 0.02, "new", now["name"])
    return before, now


def thirteen_columns(rng: Generator, rows: int) -> Columns:
    values: Columns = {f"n{i}": rng.normal(size=rows) for i in range(8)}
    values["n1"] = 0.6 * values["n0"] + 0.8 * values["n1"]
    values |= {f"c{i}": words(rng.integers(0, i + 2, rows)) for i in range(4)}
    values["gaps"] = np.where(rng.random(rows) < 0.01, np.nan, rng.normal(size=rows))
    return values


@lru_cache(maxsize=1)
def thirteen_before(number: int) -> tuple[Columns, Reading]:
    columns = thirteen_columns(np.random.default_rng([number, 13]), 20_000)
    return columns, reference_of(columns)


def thirteen(
    truth: str,
    change: Callable[[Generator, Columns], None],
    least: float = 0.0,
    most: float = 1.0,
) -> Case:
    def current(seed: int) -> Columns:
        rng = np.random.default_rng(seed)
        now = thirteen_columns(rng, M)
        change(rng, now)
        return now

    def before(seed: int) -> tuple[Columns, Reading]:
        return thirteen_before(seed // CHECKS_OF_A_REFERENCE)

    return Case(
        truth,
        M,
        lambda seed: checked(before(seed)[1], current(seed)).finding == "drifted",
        least,
        most,
        lambda seed: (before(seed)[0], current(seed)),
    )


def nothing(_: Generator, now: Columns) -> None:
    pass


def one_shift(_: Generator, now: Columns) -> None:
    now["n2"] = now["n2"] + 0.3


def three_shifts(_: Generator, now: Columns) -> None:
    now |= {name: now[name] + 0.2 for name in ("n2", "n3", "n4")}


def no_correlation(rng: Generator, now: Columns) -> None:
    now["n1"] = rng.normal(size=M)


def more_gaps(rng: Generator, now: Columns) -> None:
    now["gaps"] = np.where(rng.random(M) < 0.04, np.nan, now["gaps"])


def accuracy(before: float, now: float, rows: int = M) -> Callable[[int], bool]:
    def drifted(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        truth = [rng.choice(["yes", "no"], size) for size in (N, rows)]
        right = [rng.random(N) < before, rng.random(rows) < now]
        answers = [
            np.where(ok, labels, np.where(labels == "yes", "no", "yes"))
            for ok, labels in zip(right, truth, strict=True)
        ]
        seen = read_training(pd.DataFrame({"x": rng.normal(size=N)}), truth[0], {"x": "numeric"})
        reference = with_answers(seen, answers[0], truth[0])
        table = {"x": rng.normal(size=rows), "label": truth[1], "prediction": answers[1]}
        current = read_current(pd.DataFrame(table), DATA, reference.profile)[0]
        return drifted_by_columns(reference, current)

    return drifted


def predictions(before: float, now: float) -> Callable[[int], bool]:
    def drifted(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        truth = rng.choice(["yes", "no"], N)
        seen = read_training(pd.DataFrame({"x": rng.normal(size=N)}), truth, {"x": "numeric"})
        predictions = [np.where(rng.random(s) < p, "yes", "no") for s, p in ((N, before), (M, now))]
        reference = with_answers(seen, predictions[0], truth)
        table = pd.DataFrame({"x": rng.normal(size=M), "prediction": predictions[1]})
        current = read_current(table, DATA, reference.profile)[0]
        return drifted_by_columns(reference, current)

    return drifted


def users(number: int, each: int, per_user: bool) -> Callable[[int], bool]:
    def table(rng: Generator, number: int, each: int) -> pd.DataFrame:
        user = np.repeat(np.arange(number), each)
        fixed = rng.normal(size=(number, 4))[user]
        values = np.hstack([fixed, rng.normal(size=(len(user), 4))])
        return pd.DataFrame(values, columns=list("abcdefgh")).assign(user=words(user))

    def drifted(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        reference = reference_of(dict(table(rng, 4000, 1).drop(columns="user")))
        rows = of_frame(table(rng, number, each))
        data = DATA.model_copy(update={"drop": ("user",)})
        rows = one_per_unit(rows, "user" if per_user else None, "the current data")
        current, _ = read_rows(rows, "the current data", data, reference.profile)
        return compared(reference, current).finding == "drifted"

    return drifted


def days(size: float, time: str | None = "day") -> Callable[[int], bool]:
    """Return a case of four columns with independent day effects, autocorrelated by .9."""

    def drifted(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        effects = [rng.normal(size=4)]
        for _ in range(36):
            effects.append(0.9 * effects[-1] + np.sqrt(1 - 0.81) * rng.normal(size=4))
        before = dated(rng, size * np.array(effects), np.repeat(np.arange(30), 150))
        now = dated(rng, size * np.array(effects), np.repeat(np.arange(30, 37), 200))
        if time is None:
            before.pop("day")
            now.pop("day")
        return check(before, now, time).finding == "drifted"

    return drifted


def weekday(current: list[int]) -> Callable[[int], bool]:
    """Return a case of four whole weeks against these days; each sixth day has an effect of .5."""

    def drifted(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        effects = np.zeros((49, 4))
        effects[5::7] = 0.5
        before = dated(rng, effects, np.repeat(np.arange(28), 150))
        now = dated(rng, effects, np.repeat(current, 1400 // len(current)))
        return check(before, now, "day").finding == "drifted"

    return drifted


def dated(rng: Generator, effects: np.ndarray, day: np.ndarray) -> Columns:
    values = (rng.normal(size=(len(day), 4)) + effects[day]).T
    columns: Columns = {f"n{i}": column for i, column in enumerate(values)}
    return columns | {"day": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, "D")}


ALPHA = DriftSettings().alpha
CASES = (
    case("no drift, half of the values missing", unchanged(half_missing), most=ALPHA),
    case("no drift, eight categories", unchanged(eight_categories), most=ALPHA),
    case("no drift, a number with two categories", unchanged(mixed), most=ALPHA),
    case("no drift, 500 names", unchanged(many_names(500)), most=ALPHA),
    case("no drift, 5000 names", unchanged(many_names(5000)), most=ALPHA),
    case("a new name of 2 % among 20", new_name, least=0.85),
    thirteen("no drift, 13 mixed columns", nothing, most=ALPHA),
    thirteen(".3 sd in one of 13 columns", one_shift, least=0.8),
    thirteen(".2 sd in three of 13 columns", three_shifts, least=0.55),
    thirteen("correlation .6 -> 0 in 13 columns", no_correlation, least=0.95),
    thirteen("missing 1 -> 5 % in one of 13", more_gaps, least=0.7),
    Case("accuracy stays .90", M, accuracy(0.9, 0.9), most=ALPHA),
    Case("accuracy .90 -> .895", M, accuracy(0.9, 0.895), most=ALPHA),
    Case("accuracy .90 -> .89, the tolerance", M, accuracy(0.9, 0.89), most=ALPHA),
    Case("accuracy .90 -> .85", M, accuracy(0.9, 0.85), least=0.6),
    Case("accuracy .99 -> .96", M, accuracy(0.99, 0.96), least=0.7),
    Case("predictions stay 30 %", M, predictions(0.3, 0.3), most=ALPHA),
    Case("predictions 30 -> 40 %", M, predictions(0.3, 0.4), least=0.85),
    Case("200 users of 20 rows, one row each", 200, users(200, 20, True), most=ALPHA),
    Case("200 users of 20 rows, all rows", 4000, users(200, 20, False)),
    Case("days of .1 sd, time known", 1400, days(0.1), most=ALPHA),
    Case("days of .2 sd, time known", 1400, days(0.2), most=ALPHA),
    Case("days of .3 sd, time known", 1400, days(0.3), most=ALPHA),
    Case("days of .3 sd, time not known", 1400, days(0.3, None)),
    # A Saturday is no random day: four like it are among the 28, so the F test errs a little.
    Case("a Saturday, time known", 1400, weekday([33]), most=0.05),
    Case("a whole week, time known", 1400, weekday(list(range(28, 35))), most=ALPHA),
)
