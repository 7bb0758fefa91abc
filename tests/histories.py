"""An MLflow store with a made-up history, written by SQL: MLflow needs minutes for 500 runs."""

import json
import math
import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ratchet.drift.report import metric_key
from ratchet.promotion.ab_test import ABTest
from ratchet.promotion.decision import decide
from ratchet.promotion.promotion import Outcome
from ratchet.promotion.report import content
from ratchet.promotion.trial import Arm, Evidence, Trial
from ratchet.registry.registry import LEDGER, LedgerLine
from ratchet.settings import PromotionSettings

BEGIN = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
MODEL = "iris"
REASON = "gate: best of 1 by accuracy (0.9000)"
METRICS = ("accuracy", "f1_macro", "balanced_accuracy", "log_loss", "roc_auc", "fit_seconds")
FEATURES = ("petal_length", "petal_width", "sepal_length", "(the predicted classes)", "<b> & odd")
CONFIGS = ("baseline", "forest", "<b>bold</b>", "nearest", "automl")
CI_RUN = "https://github.com/me/ratchet/actions/runs/{}"
Moves = dict[str, tuple[str | None, str | None]]


@dataclass
class MadeUpStore:
    """A history in which some versions win their A/B tests, and the last one is staging."""

    folder: Path
    versions: int
    checks: int
    winners: int = 3  # each third version wins
    begin: datetime = BEGIN
    runs: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def write(self) -> None:
        """Fill the empty store of the folder."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database, database:
            self._database = database
            self._insert("registered_models", name=MODEL)
            self._train()
            self._check_drift()
            self._decide()

    def _train(self) -> None:
        prod: int | None = None
        previous: str | None = None
        for number in range(1, self.versions + 1):
            time = self.begin + timedelta(hours=7 * number)
            score = 0.8 + 0.15 * number / self.versions - self.rng.random() * 0.1
            metrics = {name: score - 0.01 * place for place, name in enumerate(METRICS)}
            if number == 2:
                metrics["roc_auc"] = math.nan
            config = f"{CONFIGS[number % len(CONFIGS)]}-{number}"
            run = self._run(config, time, metrics, {"predictions_sha256": f"{number:064x}"})
            is_last, is_winner = number == self.versions, number % self.winners == 1
            verdict = "passed" if is_winner or is_last else "rejected"
            tags = {"config": config, "verdict": verdict, "verdict_reason": "the made-up gate"}
            if is_winner and prod and not is_last:
                tags["decision"] = "promoted"
            self._version(number, run, time, tags)
            gate = self._run("evaluate", time, {}, {"step": "evaluate"})
            if prod is None:
                prod = number
                self._move(time, gate, {"prod": (None, "1")})
            elif is_last or is_winner:
                self._move(time, gate, {"staging": (None, str(number))})
                if not is_last:
                    pair: Moves = {"prod": (str(prod), str(number))}
                    pair |= {"previous": (previous, str(prod)), "staging": (str(number), None)}
                    self._move(time + timedelta(hours=5), gate, pair)
                    previous, prod = str(prod), number
        aliases = {"prod": prod, "previous": previous, "staging": self.versions}
        for alias, version in aliases.items():
            self._insert("registered_model_aliases", alias=alias, version=version, name=MODEL)
        self.prod, self.staging = str(prod), str(self.versions)
        self.end = self.begin + timedelta(hours=7 * self.versions)

    def _check_drift(self) -> None:
        for number in range(self.checks):
            time = self.begin + (self.end - self.begin) * (number + 1) / self.checks
            psi = {f"psi/{metric_key(name)}": self.rng.random() * 0.01 for name in FEATURES}
            psi["psi/petal_length"] += 0.2 * (number / self.checks) ** 2
            verdict = "drifted" if psi["psi/petal_length"] > 0.02 else "stable"
            tags = {"step": "drift", "model": MODEL, "finding": verdict, "verdict": verdict}
            run = self._run("drift", time, psi | {"drifted_features": 1.0}, tags)
        self._report(run, "drift.html", "<!doctype html><title>The drift report</title>")

    def _decide(self) -> None:
        evidence = Evidence(
            "betting, ab",
            2.1,
            0.1,
            None,
            math.log(20),
            1900,
            1500,
            0.02,
            (-0.01, 0.05),
            0.0,
            more_needed=410,
            curve=[(5 * n, 2.1 * (n / 300) ** 2, 0.1 - n / 900) for n in range(1, 301)],
        )
        prod = Arm(self.prod, 950, 1100, 740, 640.0, 100, 800, 740, 0, 0, 12.0, (0.84, 0.89))
        staging = replace(prod, version=self.staging, outcome=655.0, wrong=85)
        trial = Trial(
            prod,
            staging,
            evidence,
            (0.0, 3 * 86_400.0),
            {0.5: (1900, 950)},
            -2.0,
            -2.0,
            0.3,
            0,
            0.0,
            0.0,
        )
        settings = PromotionSettings(min_days=0)
        verdict = decide(trial, settings)
        sentence = f"{str(verdict.decision).replace('_', ' ')}: {verdict.reason}"
        test = ABTest(MODEL, self.prod, self.staging, None, 0.0, 0.5)
        outcome = Outcome(str(verdict.decision), sentence, {}, test, trial, verdict)
        run = self._run("promote", self.end + timedelta(hours=1), {}, {"step": "promote"})
        self._report(run, "decision.json", json.dumps(content(outcome, settings), default=str))
        text = (
            f"## Promotion\n\n**{sentence}**\n\n| arm | right |\n| --- | --- |\n| A | <i>1</i> |\n"
        )
        self._report(run, "promote.md", text)
        self.sentence = sentence

    def _run(
        self, name: str, time: datetime, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> str:
        self.runs += 1
        run, begin = f"{self.runs:032x}", int(time.timestamp() * 1000)
        where = self.folder / "mlruns" / "0" / run / "artifacts"
        self._insert(
            "runs",
            run_uuid=run,
            name=name,
            source_type="LOCAL",
            user_id="ana",
            status="FINISHED",
            start_time=begin,
            end_time=begin + 1000,
            lifecycle_stage="active",
            artifact_uri=str(where),
            experiment_id=0,
        )
        for key, value in {**tags, "ci_run": CI_RUN.format(self.runs)}.items():
            self._insert("tags", key=key, value=value, run_uuid=run)
        for key, number in metrics.items():
            row = {"key": key, "value": number, "timestamp": begin, "step": 0, "is_nan": 0}
            if math.isnan(number):
                row |= {"value": 0.0, "is_nan": 1}
            self._insert("metrics", run_uuid=run, **row)
            self._insert("latest_metrics", run_uuid=run, **row)
        return run

    def _version(self, number: int, run: str, time: datetime, tags: Mapping[str, str]) -> None:
        begin = int(time.timestamp() * 1000)
        self._insert(
            "model_versions",
            name=MODEL,
            version=number,
            creation_time=begin,
            last_updated_time=begin,
            current_stage="None",
            source=f"runs:/{run}/model",
            run_id=run,
            status="READY",
        )
        for key, value in tags.items():
            self._insert("model_version_tags", key=key, value=value, name=MODEL, version=number)

    def _move(self, time: datetime, evidence: str, moves: Moves) -> None:
        line = LedgerLine(time.isoformat(), moves, REASON, "c0ffee", evidence, "ana", True)
        self._insert(
            "registered_model_tags",
            key=f"{LEDGER}{time:%Y%m%dT%H%M%S.%fZ}-{self.runs}",
            value=json.dumps(asdict(line)),
            name=MODEL,
        )

    def _report(self, run: str, name: str, text: str) -> None:
        folder = self.folder / "mlruns" / "0" / run / "artifacts" / "report"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)

    def _insert(self, table: str, **values: Any) -> None:
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        self._database.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})", list(values.values())
        )
