"""Build a Bento of prod and staging and try it: python -m steps.package --smoke true"""

import json
from dataclasses import asdict
from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError

SERVICE = Path(__file__).parents[1] / "bentos"


def main(smoke: bool, record: str) -> None:
    from ratchet.packaging.bento import pack
    from ratchet.packaging.smoke import ask_each_arm
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, markdown_table, print_table, publish
    from ratchet.settings import read_settings

    settings = read_settings()
    registry = Registry(connect(), settings.model)
    if record:
        registry.record_packaged(record)
        print(f"The registry records that an image holds {record}")
        return
    prod, staging = registry.holder("prod"), registry.holder("staging")
    if prod is None:
        raise InputError(
            f"No alias 'prod' on model '{settings.model}'. Train and gate one first:"
            " mlflow run . -e train, then -e evaluate"
        )
    with step_run("package"):
        bento = pack(prod, staging, registry, SERVICE)
        answers = ask_each_arm(Path(bento.path)) if smoke else {}
        versions = {"prod": str(prod), "staging": str(staging) if staging else None}
        predictions = {arm: json.dumps(one["prediction"]) for arm, one in answers.items()}
        rows = [
            {
                "arm": arm,
                "role": role,
                "version": versions[role],
                "BentoML model": bento.models[role],
                "answered": predictions.get(arm, "not asked"),
            }
            for arm, role in (("A", "prod"), ("B", "staging"))
            if role in bento.models
        ]
        pair = "-".join(f"v{one.number}" for one in (prod, staging) if one)
        sentence = f"{bento.tag} {'was there already' if bento.was_there else 'is built'}."
        publish(
            Report(
                "package",
                asdict(bento) | {"versions": versions, "answers": answers},
                f"## Package\n\n{markdown_table(rows)}\n\n{sentence}\n",
                {"bento": bento.tag, "path": bento.path, "versions": pair},
            )
        )
    print_table(rows)
    print(sentence, f"Serve it: bentoml serve {bento.tag}", sep="\n")


if __name__ == "__main__":
    entry.run(main)
