"""Score a whole file with a version: python -m steps.score --data today.parquet --out scored.csv"""

from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet import entry


def main(data: str, out: str, version: str, key: str, on_error: str) -> None:
    from ratchet.drift.reference import reference_of
    from ratchet.profile.reading import FOLDER
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table, publish
    from ratchet.scoring.parts import parts_of
    from ratchet.scoring.report import rows, score_report, sentence
    from ratchet.scoring.request import Request, version_of
    from ratchet.scoring.scoring import score
    from ratchet.serving.card import copy_from_mlflow
    from ratchet.settings import read_settings

    request = Request(data, out, tuple(filter(None, key.split(","))), on_error)
    request.check()
    settings = read_settings()
    files = request.files()
    registry = Registry(connect(), settings.model)
    scored_by = version_of(version, registry)
    reference = reference_of(scored_by.number, registry, settings.data).reading.profile
    with TemporaryDirectory() as name, step_run("score"):
        import mlflow

        model = Path(name) / "model"
        source, config = registry.folder(scored_by), scored_by.tags.get("config", "")
        copy_from_mlflow(source, settings.model, scored_by.number, config, model)
        with parts_of(out, request.fingerprint(model, scored_by, files)) as parts:
            outcome = score(request, scored_by, files, model, reference, settings, parts)
            outcome.reading.save(Path(name) / FOLDER)
            mlflow.log_artifacts(str(Path(name) / FOLDER), FOLDER)
            mlflow.set_tag("scored_by", f"{settings.model}/{scored_by.number}")
            publish(score_report(outcome))
            parts.write_output(out)
    print_table(rows(outcome))
    print(sentence(outcome))


if __name__ == "__main__":
    entry.run(main)
