"""Judge versions by the offline gate: python -m steps.evaluate --version ungated"""

from dataclasses import asdict

from ratchet import entry


def main(version: str, force: bool) -> None:
    from ratchet.data.dataset import load_split
    from ratchet.evaluation.gate import weakest_evidence
    from ratchet.evaluation.judge import candidates, judge_each, settle
    from ratchet.progress import progress
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, print_table, publish
    from ratchet.settings import read_settings

    settings = read_settings()
    registry = Registry(connect(), settings.model)
    for line in registry.finish_moves():
        print(f"Finished a move that a killed process had begun: {line.reason}")
    wanted = candidates(registry, version, force)
    staged = registry.holder("staging")
    if wanted and staged and staged.number not in [one.number for one in wanted]:
        wanted.append(staged)  # it stays unless a candidate beats it on today's holdout
    split = load_split(settings.data)
    with step_run("evaluate") as run:
        work = judge_each(wanted, registry, split, settings)
        judgements = progress(work, len(wanted), "gate")
        sentence = (
            settle(judgements, registry, settings, run.info.run_id)
            if judgements
            else "No version waits for the gate. Train one: mlflow run . -e train"
        )
        rows = [_row(one, settings.metric) for one in judgements]
        notes = [
            weakest_evidence(one.verdict.comparison, int(split.in_holdout.sum()))
            for one in judgements
            if one.verdict.comparison
        ][:1]
        verdicts = {one.version.number: asdict(one.verdict) for one in judgements}
        publish(
            Report(
                "evaluate",
                {"model": settings.model, "sentence": sentence, "verdicts": verdicts}
                | {"aliases": registry.aliases()},
                _markdown(sentence, rows, [_metrics(one) for one in judgements], notes),
                {"moved": str("now:" in sentence).lower()},
            )
        )
    print_table(rows)
    print(sentence, *notes, sep="\n")


def _markdown(
    sentence: str, rows: list[dict[str, object]], metrics: list[dict[str, object]], notes: list[str]
) -> str:
    from ratchet.report import markdown_table

    by_metric = ["On the same holdout, with the difference to prod:", markdown_table(metrics)]
    parts = ["## Gate", sentence, markdown_table(rows), *(by_metric if metrics else []), *notes]
    return "\n\n".join(filter(None, parts)) + "\n"


def _metrics(judgement: "Judgement") -> dict[str, object]:  # type: ignore[name-defined]  # noqa: F821
    comparison = judgement.verdict.comparison
    prod = {name: theirs for name, (_, theirs) in comparison.metrics.items()} if comparison else {}
    return {"version": str(judgement.version)} | {
        name: f"{value:.4f} ({value - prod[name]:+.4f})" if name in prod else value
        for name, value in judgement.verdict.scores.items()
    }


def _row(judgement: "Judgement", metric: str) -> dict[str, object]:  # type: ignore[name-defined]  # noqa: F821
    verdict, comparison = judgement.verdict, judgement.verdict.comparison
    against = f"{comparison.low:+.4f} to {comparison.high:+.4f}" if comparison else None
    return {
        "version": str(judgement.version), "gate": "passed" if verdict.passed else "rejected",
        metric: verdict.score, "less prod": comparison.difference if comparison else None,
        "interval": against, "McNemar p": comparison.mcnemar_p if comparison else None,
        "reason": verdict.reason,
    }  # fmt: skip


if __name__ == "__main__":
    entry.run(main)
