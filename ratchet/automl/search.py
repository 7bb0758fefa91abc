"""The search itself. It runs in PyCaret's environment and exchanges only files with the project.

1. It reads a file name from standard input. This file is the request of ratchet/automl/request.py.
2. It searches, and appends each candidate as a line of JSON to a file as soon as it is scored. The
   line "search_finished": true says that the search is over.
3. It reads a second file name. This file has the winner. It trains the winner on all training rows,
   predicts the sample, and writes the predictions to a file.

If standard input is closed, the process that started the search has ended, so the search ends.
"""

import json
import os
import queue
import secrets
import signal
import sys
import threading
import time
import warnings
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import json_lines
import pandas as pd
import project_parts
from imblearn.over_sampling import RandomOverSampler
from json_lines import append, from_json, last_line, scores, to_json
from project_parts import folds_of_project, metrics_of, prepared
from pycaret.classification import ClassificationExperiment
from pycaret.internal.preprocess.transformers import FixImbalancer
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier

LOWER_IS_BETTER = ("log_loss", "brier")
DIGITS = 12  # PyCaret rounds scores to 4 digits by default, so different scores become equal


class BudgetSpent(BaseException):
    """The end of the time budget. It does not derive from Exception, which PyCaret catches."""


class Experiment(ClassificationExperiment):
    """PyCaret's experiment, extended: it reports each candidate as soon as every fold is scored."""

    method = "compare"
    started = None  # when tuning began: the time of a tuned model includes that of all its trials
    file = None
    topic = None  # workers of a Dask cluster report their candidates as events with this topic

    def _create_model(self, estimator, *arguments, cross_validation=True, **options):
        options["cross_validation"] = cross_validation
        if not cross_validation:
            return super()._create_model(estimator, *arguments, **options)
        options["error_score"] = "raise"  # PyCaret would give a failed fold the score 0
        started, self.started = self.started or time.perf_counter(), None
        try:
            created = super()._create_model(estimator, *arguments, **options)
        except Exception as error:
            self._report({"failed": self._class_name(estimator), "reason": last_line(error)})
            raise
        folds = scores(created[0], self.pull().drop(index=["Mean", "Std"]))
        facts = {"method": self.method, "seconds": time.perf_counter() - started, "folds": folds}
        self._report(facts | to_json(created[0]))
        return created

    def _class_name(self, estimator):
        if isinstance(estimator, str):
            return self._all_models_internal[estimator].class_def.__name__
        return type(estimator).__name__

    def _report(self, content):
        if self._remote:
            from distributed import get_worker

            get_worker().log_event(self.topic, content)
        else:
            append(self.file, content)


def set_up(request):
    """Return PyCaret's experiment with the data, the preparation and the metrics of the project."""
    table = pd.read_parquet(request["train"])
    experiment = Experiment()
    experiment.file = request["candidates"]
    experiment.setup(
        table.iloc[:-1],
        test_data=table.iloc[
            -1:
        ],  # PyCaret needs test data; the final model is trained on all rows
        target="target",
        index=False,
        numeric_features=request["numeric"],
        categorical_features=request["categorical"],
        preprocess=False,
        custom_pipeline=[("prepare", prepared(request)), *balanced(request)],
        fold=request["folds"],
        fold_strategy=folds_of_project(request) or "stratifiedkfold",
        fold_shuffle=True,
        session_id=request["seed"],
        n_jobs=request["jobs"],
        memory=False,
        system_log=False,
        html=False,
        verbose=False,
    )
    for name in list(experiment._all_metrics):
        experiment.remove_metric(name)
    for name, needs, metric in metrics_of(table["target"].nunique()):
        better = name not in LOWER_IS_BETTER
        experiment.add_metric(name, name, metric, needs, greater_is_better=better)
    return experiment


def balanced(request):
    """Return the step of the pipeline that repeats the rows of rare classes, if it is wanted.

    The winner's config has class_weight: balanced in its place.
    """
    if not request["imbalance"]:
        return []
    return [("balance", FixImbalancer(RandomOverSampler(random_state=request["seed"])))]


def search(experiment, request):
    """Compare all estimators, tune the best few and blend them, until the budget is spent."""
    signal.signal(signal.SIGALRM, spend)
    signal.setitimer(signal.ITIMER_REAL, request["budget_minutes"] * 60, 5)
    try:
        best = compare(experiment, request)
        experiment.method = "tune"
        better = [tune(experiment, request, model, score) for model, score in best]
        experiment.method = "blend"
        if len(better) > 1:
            experiment.blend_models(
                better, optimize=request["metric"], round=DIGITS, verbose=False, choose_better=False
            )
    except BudgetSpent:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def spend(signal_number, frame):
    raise BudgetSpent


def compare(experiment, request):
    """Return the best few models, each with its score."""
    with cluster(request) as parallel:
        best = experiment.compare_models(
            include=included(experiment, request["estimators"]),
            sort=request["metric"],
            n_select=request["n_select"],
            budget_time=request["budget_minutes"],
            round=DIGITS,
            verbose=False,
            parallel=parallel,
        )
    models = best if isinstance(best, list) else [best]
    return list(zip(models, experiment.pull()[request["metric"]], strict=False)) if models else []


def included(experiment, names):
    """Return what PyCaret should compare: its id of each estimator, or an adapted estimator.

    An estimator is adapted if its default does something else in the project's scikit-learn, which
    is newer: it has no SAMME.R, and friedman_mse changes the scale of min_impurity_decrease.
    """
    ids = {m.class_def.__name__: i for i, m in experiment._all_models_internal.items()}
    seed = experiment.seed
    adapted = {
        "AdaBoostClassifier": AdaBoostClassifier(algorithm="SAMME", random_state=seed),
        "GradientBoostingClassifier": GradientBoostingClassifier(
            criterion="squared_error", random_state=seed
        ),
    }
    return [adapted.get(name, ids[name]) for name in names]


@contextmanager
def cluster(request):
    """Yield the PyCaret backend (Fugue) for the request's Dask cluster, or None if it has none."""
    if request["dask"] is None:
        yield None
        return
    import cloudpickle
    from distributed import Client
    from pycaret.parallel import FugueBackend

    for module in (project_parts, json_lines):  # sent with each task: workers lack this folder
        cloudpickle.register_pickle_by_value(module)
    Experiment.topic = f"ratchet-automl-{secrets.token_hex(8)}"
    with Client(request["dask"], timeout=10) as client:
        client.subscribe_topic(
            Experiment.topic, lambda event: append(request["candidates"], event[1])
        )
        yield FugueBackend(client)


def tune(experiment, request, model, score):
    """Return the tuned model if it is better, and otherwise the model itself."""
    if not request["tune_iterations"]:
        return model
    experiment.started = time.perf_counter()
    try:
        tuned = experiment.tune_model(
            model,
            n_iter=request["tune_iterations"],
            optimize=request["metric"],
            round=DIGITS,
            verbose=False,
            tuner_verbose=False,
            choose_better=False,
        )
    except Exception as error:  # an estimator may raise anything for some parameters
        append(request["candidates"], {"failed": type(model).__name__, "reason": last_line(error)})
        return model
    sign = -1 if request["metric"] in LOWER_IS_BETTER else 1
    tuned_score = experiment.pull().loc["Mean", request["metric"]]
    return tuned if sign * tuned_score > sign * score else model


def finalise(experiment, request, content):
    """Train the candidate in `content` on all training rows, and write its predictions."""
    classes = {m.class_def.__name__: m.class_def for m in experiment._all_models_internal.values()}
    final = experiment.finalize_model(from_json(content, classes))
    sample = pd.read_parquet(request["sample"])
    answers = experiment.predict_model(final, data=sample, verbose=False)
    pd.DataFrame({"label": answers["prediction_label"].astype("int64")}).to_parquet(
        request["predictions"]
    )


def lines_of_input():
    """Return a queue that receives the lines of standard input.

    At the end of standard input, kill this process and its children, such as joblib's workers.
    """
    lines = queue.Queue()

    def read():
        for line in sys.stdin:
            lines.put(line.strip())
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=read, daemon=True).start()
    return lines


def main():
    warnings.filterwarnings("ignore")
    lines = lines_of_input()
    request = json.loads(Path(lines.get()).read_text())
    versions = {one.metadata["Name"].lower(): one.version for one in distributions()}
    Path(request["versions"]).write_text(json.dumps(dict(sorted(versions.items())), indent=2))
    experiment = set_up(request)
    if request["budget_minutes"]:
        append(request["candidates"], {"search_finished": False})
        search(experiment, request)
    append(request["candidates"], {"search_finished": True})
    finalise(experiment, request, json.loads(Path(lines.get()).read_text()))


if __name__ == "__main__":
    main()
