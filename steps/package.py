"""Build a Bento of prod and staging and try it: python -m steps.package --smoke true"""

from pathlib import Path

from ratchet import entry
from ratchet.errors import InputError

SERVICE = Path(__file__).parents[1] / "bentos"


def main(smoke: bool, record: str) -> None:
    from ratchet.packaging.bento import pack
    from ratchet.packaging.report import package_report, rows_by_arm, sentence
    from ratchet.packaging.smoke import ask_each_arm
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table, publish
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
    versions = {"prod": prod, "staging": staging}
    with step_run("package"):
        bento = pack(prod, staging, registry, SERVICE)
        answers = ask_each_arm(Path(bento.path)) if smoke else {}
        publish(package_report(bento, versions, answers))
    print_table(rows_by_arm(bento, versions, answers))
    print(sentence(bento), f"Serve it: bentoml serve {bento.tag}", sep="\n")


if __name__ == "__main__":
    entry.run(main)
