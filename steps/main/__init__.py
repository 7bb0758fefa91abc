"""The whole line once, on this machine: python -m steps.main --config configs/models --until all"""

from pathlib import Path

from ratchet.errors import InputError, nearest

BEFORE = ("train", "evaluate", "package")
MADE_UP = ("traffic", "drift", "test", "promote", "rollback")
STAGES = (*BEFORE, "traffic", "drift", "automl", "gate", *MADE_UP[2:], "history", "all")


def main(config: Path, until: str, demo: str) -> None:
    from contextlib import suppress

    from ratchet.line import LastStage, Line, load_libraries
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import LINE_RUN, connect, step_run
    from ratchet.report import print_table
    from ratchet.settings import read_settings
    from ratchet.traffic.demonstration import require_local_stores
    from steps.main.demonstration import demonstrate

    if until not in STAGES:
        raise InputError(f"until={until} is not a stage; {nearest(until, STAGES)}")
    settings = read_settings()
    with_demo = is_demo_requested(demo, settings.data.source)
    if until in MADE_UP and not with_demo:
        raise InputError(f"until={until} is a stage of the demonstration; ask for it: -P demo=true")
    if with_demo and until not in BEFORE:
        require_local_stores()
    load_libraries()
    registry = Registry(connect(), settings.model)
    with step_run("main") as run, suppress(LastStage):
        line = Line(until, {LINE_RUN: run.info.run_id})
        line.run("train", "steps.train", config=str(config))
        line.run("evaluate", "steps.evaluate")
        if with_demo:
            demonstrate(line, registry)
        else:
            line.run("package", "steps.package")
            version = line.run("automl", "steps.automl").get("version")
            if version and registry.aliases().get("prod") != version:
                line.run("gate", "steps.evaluate", version=version, force="true")
        line.run("history", "steps.history")
    print()
    print_table([stage.row() for stage in line.stages])
    print(
        "\nRuns, versions, pictures: make ui. Reports: reports/. Serve: make serve, then open /ab."
    )


def is_demo_requested(demo: str, source: str) -> bool:
    if demo not in ("auto", "true", "false"):
        raise InputError(f"demo={demo}: expected auto, true or false")
    return demo == "true" or (demo == "auto" and source == "iris")
