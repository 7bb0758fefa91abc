"""Decide on staging by the prediction log, and move prod: python -m steps.promote --action auto"""

from ratchet import entry


def main(
    action: str,
    reason: str,
    log: str,
    dry_run: bool,
    plan: bool,
    split: float,
    accuracy: float,
    users_a_day: int,
) -> None:
    from ratchet.errors import InputError, nearest
    from ratchet.predictions.engine import log_url
    from ratchet.progress import progress
    from ratchet.promotion.page import promotion_report
    from ratchet.promotion.planning import TRUE_DIFFERENCES, plans
    from ratchet.promotion.promotion import ACTIONS, BY_HAND, promote
    from ratchet.promotion.report import arm_rows, check_rows, plan_report, plan_rows, plan_sentence
    from ratchet.registry.registry import Registry
    from ratchet.registry.tracking import connect, step_run
    from ratchet.report import print_table, publish
    from ratchet.settings import read_settings

    settings = read_settings()
    if plan:
        work = plans(settings.promotion, split, accuracy, users_a_day, seed=0)
        simulated = progress(work, len(TRUE_DIFFERENCES), "plan")
        connect()
        with step_run("promote"):
            publish(plan_report(simulated, settings.promotion, split, accuracy, users_a_day))
        print(plan_sentence(settings.promotion, split, accuracy))
        print_table(plan_rows(simulated, users_a_day))
        return
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
        publish(promotion_report(outcome, settings))
    if outcome.trial:
        print_table(arm_rows(outcome.trial))
        print_table(check_rows(outcome))
    print(outcome.sentence)
    if outcome.watch:
        print(f"Prod: {outcome.watch.sentence}.")


if __name__ == "__main__":
    entry.run(main)
