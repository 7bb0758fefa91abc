"""The results of `benchmarks.zoo`: a table by outcome, one by estimator, and the figures."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.zoo_outcome import Outcome
from ratchet.report import Row, print_table

ALPHA = 0.01


def read_outcomes(results: Path) -> list[Outcome]:
    """Return the last outcome of each table."""
    lines = results.read_text().splitlines() if results.exists() else []
    outcomes = [Outcome(**json.loads(line)) for line in lines]
    return list({outcome.table: outcome for outcome in outcomes}.values())


def print_results(outcomes: Sequence[Outcome]) -> None:
    searched = [one for one in outcomes if one.table.startswith("automl ")]
    line = [one for one in outcomes if one not in searched]
    print_table(ending_rows(line))
    print_table(stage_rows(line))
    print_table(estimator_rows(line))
    print_table(refusal_rows(line))
    for outcome in outcomes:
        if outcome.ending == "bug" or outcome.disagreements:
            print(f"{outcome.table}: {outcome.reason} {' '.join(outcome.disagreements)}")
    print(json.dumps(figures(line, searched)))


def ending_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    return [
        {
            "ending": ending,
            "tables": len(those),
            "seconds, median": median(one.seconds for one in those),
            "MB, most": max(one.megabytes for one in those),
        }
        for ending in ("works", "refused", "bug")
        if (those := [one for one in outcomes if one.ending == ending])
    ]


def stage_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    names = dict.fromkeys(name for one in outcomes for name in one.stages)
    seconds = {name: [o.stages[name] for o in outcomes if name in o.stages] for name in names}
    return [
        {"stage": name, "tables": len(those), "processor seconds, mean": sum(those) / len(those)}
        for name, those in seconds.items()
    ]


def estimator_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    trained = Counter(name for one in outcomes for name in one.estimators)
    failed = Counter(name for one in outcomes for name, why in one.estimators.items() if why)
    reasons = {name: why for one in outcomes for name, why in one.estimators.items() if why}
    return [
        {
            "estimator": name,
            "tables": trained[name],
            "failed": failed[name],
            "processor seconds, mean": sum(one.fits.get(name, 0.0) for one in outcomes)
            / trained[name],
            "the last reason": reasons.get(name, "")[:100],
        }
        for name in sorted(trained)
    ]


def refusal_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Return how many tables each kind of message refused; names and numbers are left out."""
    reasons = Counter(
        " ".join(word for word in one.reason.split("'")[-1].split() if word.isalpha())[:90]
        for one in outcomes
        if one.ending == "refused"
    )
    return [{"refused because": text, "tables": count} for text, count in reasons.most_common()]


def figures(outcomes: Sequence[Outcome], searched: Sequence[Outcome]) -> Mapping[str, object]:
    endings = Counter(one.ending for one in outcomes)
    verdicts = Counter(one.drift for one in outcomes if one.drift)
    compared = verdicts["drifted"] + verdicts["stable"]
    bugs = endings["bug"] + sum(one.ending == "bug" for one in searched)
    disagreements = sum(len(one.disagreements) for one in outcomes)
    most_false = ALPHA * compared + 3 * (ALPHA * compared) ** 0.5  # three standard deviations
    return {
        "tables": len(outcomes),
        **endings,
        "estimators": len({name for one in outcomes for name in one.estimators}),
        "versions": sum(one.versions for one in outcomes),
        "compiled": sum(one.compiled for one in outcomes),
        "asked_over_http": sum(one.asked for one in outcomes),
        "bentos": sum(bool(one.bento) for one in outcomes),
        "disagreements": disagreements,
        "drift": dict(verdicts),
        "automl": dict(Counter(one.ending for one in searched)),
        "seconds": round(sum(one.seconds for one in outcomes)),
        "most_megabytes": round(max((one.megabytes for one in outcomes), default=0)),
        "holds": not bugs and not disagreements and verdicts["drifted"] <= most_false,
    }
