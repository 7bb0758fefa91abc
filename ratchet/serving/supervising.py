"""The supervisor of the workers, which BentoML starts and has no option for."""

from functools import partial

SECONDS_BETWEEN_CHECKS = 1.0


def restart_killed_workers_soon() -> None:
    """Make BentoML's supervisor look every second, not every ten, whether its workers live."""
    from bentoml._internal.utils import circus

    circus.create_standalone_arbiter = partial(
        circus.create_standalone_arbiter, check_delay=SECONDS_BETWEEN_CHECKS
    )
