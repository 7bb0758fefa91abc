"""The settings in configs/project.yaml, checked. An unknown key is an error."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ratchet.columns import GivenKind
from ratchet.documents import read_mapping
from ratchet.errors import InputError, nearest

PROJECT = Path("configs/project.yaml")
DEFAULT_CONTRACT = "configs/data.yaml"

TextChoice = Literal["drop", "hash", "tfidf"]
Metric = Literal["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier"]


class Strict(BaseModel):
    """A section of a settings file: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Names = Annotated[tuple[str, ...], Field(strict=False)]

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(duration: str) -> float:
    """
    >>> seconds("7d")
    604800.0
    """
    if not re.fullmatch(r"\d+(\.\d+)?[smhdw]", duration):
        raise ValueError("expected a number with s, m, h, d or w, such as 7d")
    return float(duration[:-1]) * SECONDS[duration[-1]]


def _require_duration(text: str) -> str:
    seconds(text)
    return text


Duration = Annotated[str, AfterValidator(_require_duration)]


class CsvSettings(Strict):
    """The format of CSV files. A value that is None is guessed from the file."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    thousands: Literal["", ",", ".", " ", "'"] | None = None


class SplitSettings(Strict):
    """The rule that divides the rows into training rows and holdout."""

    by: Literal["random", "time", "group"] = "random"
    column: str | None = None  # the column with the times or the groups
    gap: Duration = (
        "0s"  # training rows that are less than this older than the holdout are left out
    )
    group: str | None = None  # by time: a value of this column is on one side only

    @property
    def time_column(self) -> str | None:
        return self.column if self.by == "time" else None

    @property
    def group_column(self) -> str | None:
        return self.column if self.by == "group" else self.group

    @model_validator(mode="after")
    def _keys_belong_to_the_rule(self) -> "SplitSettings":
        if self.by != "random" and self.column is None:
            raise ValueError(f"a split by {self.by} needs the key 'column'")
        if self.by == "random" and self.column is not None:
            raise ValueError("a random split has no column; set 'by' to time or group")
        if self.by != "time" and (self.group is not None or seconds(self.gap)):
            raise ValueError(
                "'gap' and 'group' belong to a split by time; remove them, or set 'by' to time"
            )
        if self.group is not None and self.group == self.column:
            raise ValueError("'group' and 'column' are the same column; name another one")
        return self


class LogSettings(Strict):
    """The requests of the prediction log that are added to the rows of data.source."""

    days: Annotated[float, Field(gt=0)] = 90.0  # how many past days `collect` reads
    file: str = "data/collected.parquet"


class DataSettings(Strict):
    source: str
    target: str
    csv: CsvSettings = CsvSettings()
    sheet: str | None = None  # None: the first sheet of a spreadsheet
    drop: Names = ()
    kinds: dict[str, GivenKind] = {}
    text: dict[str, TextChoice] = {}
    merge_labels: bool | None = None  # None: labels that differ by case or white space are an error
    missing: Names = ("", "NA", "N/A", "NaN", "nan", "NULL", "null")
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.2
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    split: SplitSettings = SplitSettings()
    weight: str | None = None  # the column with the weight of each row; it is not a feature
    slices: Names = ()
    log: LogSettings | None = None  # None: the source alone
    contract: str = DEFAULT_CONTRACT  # the file with the rules that the data have to keep


class GateSettings(Strict):
    floor: float | None = None  # None: the score of always answering the most common class
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    max_latency_ms: Annotated[float, Field(gt=0)] | None = None
    max_size_mb: Annotated[float, Field(gt=0)] | None = None


class DriftSettings(Strict):
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01  # the rate of false alarms per check
    tau: Annotated[float, Field(ge=0)] = 0.02  # the PSI of a feature that is tolerated
    ks_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.05
    missing_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01  # share of missing values
    share_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.02  # share of a class in the answers
    accuracy_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.01  # 0.01: one percentage point
    minimum_rows: Annotated[int, Field(ge=1)] = 100  # in the reference and in the current data
    features: Names = ()  # the features that can cause drift; empty: all
    dependence: bool = True
    time: str | None = None  # the feature that says when a row was recorded
    unit: str | None = None  # a column of a file: one row per value counts. The log: "request"
    needed: Annotated[int, Field(ge=1)] = 1  # drift in `needed` of the last `window` checks
    window: Annotated[int, Field(ge=1)] = 1
    cooldown_hours: Annotated[float, Field(ge=0)] = 72.0  # from one retraining to the next
    log_days: Annotated[float, Field(gt=0)] = 7.0  # the past days of the prediction log to check
    engine: Literal["duckdb", "dask", "spark"] = "duckdb"  # reads the current data
    address: str | None = None  # the address of Dask's scheduler or Spark's master

    @property
    def unit_column(self) -> str | None:
        return None if self.unit == "request" else self.unit

    @model_validator(mode="after")
    def _needed_fits(self) -> "DriftSettings":
        if self.needed > self.window:
            raise ValueError(
                f"needed is {self.needed} and window is {self.window}; needed must not be larger"
            )
        return self


class ScoreSettings(Strict):
    engine: Literal["duckdb", "dask", "spark"] = "duckdb"  # reads and scores the files
    address: str | None = None  # the address of Dask's scheduler or Spark's master


class AutomlSettings(Strict):
    budget_minutes: Annotated[float, Field(gt=0)] = 10.0
    folds: Annotated[int, Field(ge=2)] = 5
    estimators: Names = ()  # empty: the quick ones
    n_select: Annotated[int, Field(ge=1)] = 3
    tune_iterations: Annotated[int, Field(ge=0)] = 10
    imbalance: bool = False
    agreement: Annotated[float, Field(ge=0, le=1)] = 0.9
    delivery: Literal["candidate", "pull_request"] = "candidate"  # what monitor.yml does with it
    parallel: Literal["dask"] | None = None
    dask_address: str | None = None


class ABSettings(Strict):
    split: Annotated[float, Field(ge=0, le=1)] = 0.2  # the share of arm B at first
    shadow: bool = False  # score every request with the other version too, and log it
    staging_timeout_ms: Annotated[float, Field(gt=0)] = 1000.0  # after it prod answers instead
    hash_users: bool = False  # log an HMAC of the user, keyed by RATCHET_USER_SECRET
    retention_days: Annotated[float, Field(gt=0)] | None = None  # None: kept forever
    contract: Literal["off", "count", "refuse"] = "off"  # for requests that break a rule


class GuardrailSettings(Strict):
    error_rate: Annotated[float, Field(ge=0, lt=1)] = 0.01  # by how much staging may exceed prod
    latency_p99_ms: Annotated[float, Field(gt=0)] | None = 1000.0


class PromotionSettings(Strict):
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05  # per side, over all looks together
    method: Literal["ab", "answers", "paired"] = "ab"
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0  # 0: staging must be better
    mde: Annotated[float, Field(gt=0, lt=1)] = 0.05  # the difference for which a test is fastest
    unit: Literal["user", "request"] = "user"
    window_days: Annotated[float, Field(ge=0)] = 1.0  # days per user; 0: the first request only
    labels: Literal["missing_not_at_random", "missing_at_random"] = "missing_not_at_random"
    maturity_hours: Annotated[float, Field(ge=0)] = 0.0  # the time that labels need to arrive
    min_days: Annotated[float, Field(ge=0)] = 7.0  # before a promotion
    deadline_days: Annotated[float, Field(gt=0)] | None = 30.0
    min_labelled: Annotated[int, Field(ge=1)] = 100  # per arm, and per arm of each slice
    min_errors: Annotated[int, Field(ge=0)] = 5  # per arm
    guardrails: GuardrailSettings = GuardrailSettings()
    costs: dict[str, dict[str, float]] = {}  # {true class: {answer: cost}}

    @model_validator(mode="after")
    def _deadline_is_later(self) -> "PromotionSettings":
        if self.deadline_days is not None and self.deadline_days < self.min_days:
            raise ValueError(
                f"deadline_days is {self.deadline_days:g} and min_days is {self.min_days:g};"
                " a deadline before min_days rules out every promotion"
            )
        return self


class Settings(Strict):
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
    metric: Metric = "accuracy"
    data: DataSettings
    gate: GateSettings = GateSettings()
    drift: DriftSettings = DriftSettings()
    score: ScoreSettings = ScoreSettings()
    automl: AutomlSettings = AutomlSettings()
    ab: ABSettings = ABSettings()
    promotion: PromotionSettings = PromotionSettings()


def read_settings(path: Path = PROJECT) -> Settings:
    return validated(Settings, read_mapping(path), str(path))


Model = TypeVar("Model", bound=Strict)


def validated(model: type[Model], content: Any, where: str) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error, model)}") from None


def _explain(error: ValidationError, model: type[Strict]) -> str:
    # A misspelt key is also a missing one; the message is about the spelling.
    first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    where = [str(part) for part in first["loc"]]
    if first["type"] == "extra_forbidden":
        return f"unknown key '{'.'.join(where)}'; {nearest(where[-1], _keys(model, where[:-1]))}"
    if first["type"] == "missing":
        return f"key '{'.'.join(where)}' is missing"
    if first["type"] == "string_pattern_mismatch":
        expected = "expected letters, digits, '.', '_' and '-' only"
        return f"{'.'.join(where)}: {expected}, got {first['input']!r}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{'.'.join(where)}: {message}, got {first['input']!r}"


def _keys(model: Any, where: list[str]) -> list[str]:
    """Return the keys of the section; a mapping from names to sections counts as one level."""
    for part in where:
        is_section = hasattr(model, "model_fields")
        annotation = model.model_fields[part].annotation if is_section else get_args(model)[-1]
        options = () if get_origin(annotation) is dict else get_args(annotation)
        sections = [one for one in (annotation, *options) if hasattr(one, "model_fields")]
        model = sections[0] if sections else annotation
    return list(model.model_fields)
