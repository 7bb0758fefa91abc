"""Cases of benchmarks.drift_quality beyond independent normal columns: ties, names, users, days.

Each case returns for a seed whether a check says drift. All run the whole check: profiles, samples,
the dependence between features, and joint shifts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from ratchet.columns import Kind
from ratchet.drift.comparison import Drift, compare
from ratchet.drift.dependence import dependence
from ratchet.drift.joint import joint_shift
from ratchet.drift.periods import period_spread
from ratchet.profile.reading import (
    Reading,
    read_current,
    read_reference,
    read_training,
    with_answers,
)
from ratchet.settings import DataSettings, DriftSettings

Columns = dict[str, Any]
Generator = np.random.Generator
DATA = DataSettings(source="table.csv", target="(none)")
N, M = 2000, 1000


@dataclass(frozen=True)
class Case:
    truth: str
    rows: int
    drifted: Callable[[int], bool]
    checks: int = 1000
    least: float = 0.0
    most: float = 1.0


def kind_of(values: Any) -> Kind:
    return "categorical" if isinstance(values[0], str) else "numeric"


def check(before: Columns, now: Columns, time: str | None = None) -> Drift:
    kinds: dict[str, Kind] = {name: kind_of(values) for name, values in before.items()}
    if time:
        kinds[time] = "date"
    frames = [pd.DataFrame(side) for side in (before, now)]
    classes = np.resize(["yes", "no"], len(frames[0]))
    reference = read_training(frames[0], classes, kinds)
    return compared(reference, read_current(frames[1], DATA, reference.profile)[0], time)


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


def unchanged(columns: Callable[[Generator, int], Columns]) -> Callable[[int], bool]:
    def drifted(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        return check(columns(rng, N), columns(rng, M)).finding == "drifted"

    return drifted


def words(codes: np.ndarray) -> list[str]:
    return [f"w{code}" for code in codes]


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


def new_name(seed: int) -> bool:
    rng = np.random.default_rng(seed)
    before, now = many_names(20)(rng, N), many_names(20)(rng, M)
    now["name"] = ["new" if rng.random() < 0.02 else name for name in now["name"]]
    return check(before, now).finding == "drifted"


def thirteen(change: Callable[[Generator, Columns], None]) -> Callable[[int], bool]:
    def columns(rng: Generator, rows: int) -> Columns:
        values: Columns = {f"n{i}": rng.normal(size=rows) for i in range(8)}
        values["n1"] = 0.6 * values["n0"] + 0.8 * values["n1"]
        values |= {f"c{i}": words(rng.integers(0, i + 2, rows)) for i in range(4)}
        values["gaps"] = np.where(rng.random(rows) < 0.01, np.nan, rng.normal(size=rows))
        return values

    def drifted(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        before, now = columns(rng, 20_000), columns(rng, M)
        change(rng, now)
        return check(before, now).finding == "drifted"

    return drifted


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
        unit = "user" if per_user else None
        data = DATA if unit else DATA.model_copy(update={"drop": ("user",)})
        with TemporaryDirectory() as folder:
            files = [str(Path(folder) / name) for name in ("a.parquet", "b.parquet")]
            table(rng, 4000, 1).to_parquet(files[0])
            table(rng, number, each).to_parquet(files[1])
            reference = read_reference(files[0], data, unit)
            current = read_current(files[1], data, reference.profile, unit)[0]
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
    Case("no drift, half of the values missing", M, unchanged(half_missing), most=ALPHA),
    Case("no drift, eight categories", M, unchanged(eight_categories), most=ALPHA),
    Case("no drift, a number with two categories", M, unchanged(mixed), most=ALPHA),
    Case("no drift, 500 names", M, unchanged(many_names(500)), most=ALPHA),
    Case("no drift, 5000 names", M, unchanged(many_names(5000)), most=ALPHA),
    Case("a new name of 2 % among 20", M, new_name, least=0.85),
    Case("no drift, 13 mixed columns", M, thirteen(nothing), most=ALPHA),
    Case(".3 sd in one of 13 columns", M, thirteen(one_shift), least=0.8),
    Case(".2 sd in three of 13 columns", M, thirteen(three_shifts), least=0.55),
    Case("correlation .6 -> 0 in 13 columns", M, thirteen(no_correlation), least=0.95),
    Case("missing 1 -> 5 % in one of 13", M, thirteen(more_gaps), least=0.7),
    Case("accuracy stays .90", M, accuracy(0.9, 0.9), most=ALPHA),
    Case("accuracy .90 -> .895", M, accuracy(0.9, 0.895), most=ALPHA),
    Case("accuracy .90 -> .85", M, accuracy(0.9, 0.85), least=0.5),
    Case("accuracy .99 -> .96", M, accuracy(0.99, 0.96), least=0.6),
    Case("predictions stay 30 %", M, predictions(0.3, 0.3), most=ALPHA),
    Case("predictions 30 -> 40 %", M, predictions(0.3, 0.4), least=0.85),
    Case("200 users of 20 rows, one row each", 200, users(200, 20, True), 300, most=ALPHA),
    Case("200 users of 20 rows, all rows", 4000, users(200, 20, False), 300),
    Case("days of .1 sd, time known", 1400, days(0.1), 300, most=0.05),
    Case("days of .2 sd, time known", 1400, days(0.2), 300, most=0.05),
    Case("days of .3 sd, time known", 1400, days(0.3), 300, most=0.05),
    Case("days of .3 sd, time not known", 1400, days(0.3, None), 300),
    Case("a Saturday, time known", 1400, weekday([33]), 300, most=ALPHA),
    Case("a whole week, time known", 1400, weekday(list(range(28, 35))), 300, most=ALPHA),
)
