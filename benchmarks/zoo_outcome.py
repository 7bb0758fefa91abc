"""The outcome of a table of `benchmarks.zoo`."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Outcome:
    table: str
    ending: str = "works"  # works, refused or bug
    reason: str = ""
    rows: int = 0
    columns: int = 0
    target: str = ""
    estimators: dict[str, str] = field(default_factory=dict)  # estimator: "" or why it failed
    fits: dict[str, float] = field(default_factory=dict)  # estimator: processor seconds, recorded
    versions: int = 0  # that were saved, loaded and asked
    compiled: int = 0  # versions that are served by the compiled form
    asked: int = 0  # rows that the service answered over HTTP
    bento: str = ""  # the Bento that was built and asked
    disagreements: list[str] = field(default_factory=list)
    drift: str = ""  # the verdict on two random halves
    stages: dict[str, float] = field(default_factory=dict)  # stage: processor seconds
    seconds: float = 0.0
    megabytes: float = 0.0

    def compare(self, what: str, answers: Sequence[object], expected: Sequence[object]) -> None:
        """Note how many answers differ from the expected ones."""
        wrong = sum(one != other for one, other in zip(answers, expected, strict=True))
        if wrong:
            self.disagreements.append(f"{what}: {wrong} of {len(answers)} answers differ.")

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = processor_seconds()
        yield
        self.stages[name] = round(processor_seconds() - began, 2)


def processor_seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])
