from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    value: float | str | None
    limit: float | str | None
    note: str = ""  # for people
