"""Decide on staging by the prediction log, and move prod: python -m steps.promote --action auto"""

from dataclasses import asdict
from typing import TYPE_CHECKING

from ratchet import entry
from ratchet.errors import InputError, nearest

if TYPE_CHECKING:
    from ratchet.settings import PromotionSettings


def main(
    action: str, reason: str, log: str, dry_run: bool, plan: bool, split: float, accuracy: float,
    users_a_day: int,
) -> None:  # fmt: skip
    from ratchet.settings import read_settings

    settings = read_settings()
    if plan:
        show_plan(settings.promotion, split, accuracy, users_a_day)
        return
    from ratchet.predictions.engine import log_url
    from ratchet.promotion.page import page
    from ratchet.promotion.promotion import ACTIONS, BY_HAND, promote
    from ratchet.promotion.report import arm_rows, check_rows, content, markdown, promoted
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, print_table, publish

    if action not in ACTIONS:
        raise InputError(f"action={action}: {nearest(action, ACTIONS)}")
    if action in BY_HAND and not reason.strip():
        raise InputError(f'action={action} needs a reason: -P reason="..."')
    registry = Registry(connect(), settings.model)
    for line in registry.finish_moves():
        print(f"Finished a move that a killed process had begun: {line.reason}")
    source = log_url() if log == "RATCHET_LOG_URL" else log
    with step_run("promote") as run:
        outcome = promote(registry, settings, action, reason, source, run.info.run_id, dry_run)
        found = content(outcome, settings.promotion)
        outputs = {"decision": outcome.decision, "promoted": str(promoted(outcome)).lower()}
        shown = page(outcome, settings)
        publish(Report("promote", found, markdown(outcome), outputs, shown, json_alias="decision"))
    if outcome.trial:
        print_table(arm_rows(outcome.trial))
        print_table(check_rows(outcome))
    print(outcome.sentence)


def show_plan(
    settings: "PromotionSettings", split: float, accuracy: float, users_a_day: int
) -> None:
    from ratchet.progress import progress
    from ratchet.promotion.planning import TRUTHS, plans
    from ratchet.promotion.report import plan_rows, plan_sentence
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import Report, markdown_table, print_table, publish

    found = progress(plans(settings, split, accuracy, users_a_day, seed=0), len(TRUTHS), "plan")
    rows, sentence = plan_rows(found, users_a_day), plan_sentence(settings, split, accuracy)
    connect()
    with step_run("promote"):
        text = f"## How long a test takes\n\n{sentence}\n\n{markdown_table(rows)}\n"
        publish(Report("plan", {"plan": [asdict(one) for one in found]}, text))
    print(sentence)
    print_table(rows)


if __name__ == "__main__":
    entry.run(main)
