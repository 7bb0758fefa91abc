"""The rules of a contract, as configs/data.yaml declares them. An unknown key is an error."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ratchet.documents import read_mapping
from ratchet.errors import InputError
from ratchet.settings import DEFAULT_CONTRACT, DataSettings, Duration, Strict, validated

Severity = Literal["error", "warn"]
Limit = float | str  # a number, or a date in quotes
Value = str | int | float | bool


class ColumnRules(Strict):
    min: Limit | None = None
    max: Limit | None = None
    missing: Annotated[float, Field(ge=0, le=1)] | None = None  # the highest share
    values: Annotated[tuple[Value, ...], Field(strict=False, min_length=1)] | None = None
    unique: bool = False
    severity: Severity = "error"

    @model_validator(mode="after")
    def _can_hold(self) -> "ColumnRules":
        if self.min is not None and self.max is not None:
            if isinstance(self.min, str) != isinstance(self.max, str):
                raise ValueError("min and max must both be numbers, or both dates in quotes")
            if self.min > self.max:  # type: ignore[operator]  # both are of one type
                raise ValueError(f"min {self.min} is above max {self.max}, so no value can hold it")
        return self


class Newest(Strict):
    column: str
    at_most: Duration  # the age of the newest row


class RowRules(Strict):
    min: Annotated[int, Field(ge=0)] | None = None
    max: Annotated[int, Field(ge=0)] | None = None
    newest: Newest | None = None
    severity: Severity = "error"

    @model_validator(mode="after")
    def _can_hold(self) -> "RowRules":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}, so no table can hold it")
        return self


class Contract(Strict):
    columns: dict[str, ColumnRules] = Field(default_factory=dict)
    rows: RowRules = RowRules()

    @model_validator(mode="after")
    def _can_hold(self) -> "Contract":
        for name, column in self.columns.items():
            values = len(set(column.values or ()))
            if column.unique and values and self.rows.min and values < self.rows.min:
                raise ValueError(
                    f"'{name}' is unique with {values} values, but rows.min is {self.rows.min}, so"
                    " no table can hold both"
                )
        return self


def contract_of(settings: DataSettings) -> Contract | None:
    """Return the project's contract, or None if there is none and the settings name none."""
    path = Path(settings.contract)
    if settings.contract == DEFAULT_CONTRACT and not path.exists():
        return None
    return read_contract(path)


def read_contract(path: Path) -> Contract:
    if not path.exists():
        raise InputError(
            f"{path}: no such contract; to propose one from the data: mlflow run . -e check -P"
            " write=true"
        )
    return validated(Contract, read_mapping(path), str(path))
