"""The report of a training: one row for each model config."""

import os
from collections.abc import Sequence
from dataclasses import asdict

from ratchet.data.split import Split
from ratchet.data.split_record import record_of, sentence
from ratchet.errors import InputError
from ratchet.github.links import tracking_link
from ratchet.report import Report, markdown_table
from ratchet.training.honest_split import HonestScore
from ratchet.training.record import Outcome

METRICS = ("accuracy", "precision", "recall", "f1", "log_loss", "fit_seconds")


def report(
    model: str, outcomes: Sequence[Outcome], split: Split, warnings: Sequence[HonestScore]
) -> Report:
    table = [row | {"see": _link(one)} for row, one in zip(rows(outcomes), outcomes, strict=True)]
    trained = [str(one.version) for one in outcomes if one.status == "trained"]
    return Report(
        "train",
        {
            "model": model,
            "outcomes": [asdict(one) for one in outcomes],
            "split": record_of(split),
            "honest_scores": [asdict(one) for one in warnings],
        },
        "\n\n".join(["## Train", markdown_table(table), *notes(split, warnings)]) + "\n",
        {"trained": str(len(trained)), "versions": ",".join(trained)},
    )


def notes(split: Split, warnings: Sequence[HonestScore]) -> list[str]:
    return [f"{sentence(record_of(split))}.", *(one.sentence for one in warnings)]


def _link(outcome: Outcome) -> str | None:
    import mlflow

    if outcome.run_id is None:
        return None
    experiment_id = mlflow.get_run(outcome.run_id).info.experiment_id
    return tracking_link(outcome.run_id, experiment_id, os.environ)


def rows(outcomes: Sequence[Outcome]) -> list[dict[str, object]]:
    return [_row(one) for one in outcomes]


def _row(outcome: Outcome) -> dict[str, object]:
    metrics = outcome.metrics or {}
    return {
        "config": outcome.config,
        "": outcome.status,
        "version": f"v{outcome.version}" if outcome.version else None,
        **{name: metrics.get(name) for name in METRICS},
        "note": outcome.reason,
    }


def require_success(outcomes: Sequence[Outcome]) -> None:
    failed = [f"{one.config}: {one.reason}" for one in outcomes if one.status == "failed"]
    if failed:
        raise InputError("; ".join(failed))
