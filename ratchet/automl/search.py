"""PyCaret's search, which runs in PyCaret's environment. Files connect it with the project.

Standard input names two files: the request (ratchet/automl/request.py describes it) and, after the
line "search_finished", the candidate to finalise. Each candidate is appended to a file as soon as
it is scored. If standard input closes, the process that started the search is gone, and it ends.
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
from project_parts import metrics_of, prepared
from pycaret.classification import ClassificationExperiment
from pycaret.internal.preprocess.transformers import FixImbalancer
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier

LOWER_IS_BETTER = ("log_loss", "brier")
DIGITS = 12  # PyCaret rounds to 4 by default, which makes ties


class BudgetSpent(BaseException):
    """Not an Exception, because PyCaret catches those and continues."""


class Experiment(ClassificationExperiment):
    """PyCaret's experiment, which also reports each candidate once every fold is scored."""

    method = "compare"
    started = None  # set by tuning, whose time is longer than that of its last model
    file = None
    topic = None  # of the events by which the workers of a cluster report their candidates

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
    table = pd.read_parquet(request["train"])
    experiment = Experiment()
    experiment.file = request["candidates"]
    experiment.setup(
        table.iloc[:-1],
        test_data=table.iloc[-1:],  # PyCaret requires some; it finalises on all rows, in this order
        target="target",
        index=False,
        numeric_features=request["numeric"],
        categorical_features=request["categorical"],
        preprocess=False,
        custom_pipeline=[("prepare", prepared(request)), *balanced(request)],
        fold=request["folds"],
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
    """Return PyCaret's step that repeats rows; a config uses class_weight: balanced instead."""
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
    """Return PyCaret's ids of the estimators, or an estimator if the current scikit-learn differs.

    The current version has no SAMME.R, and min_impurity_decrease has another scale with its
    friedman_mse.
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
    """Return PyCaret's backend, Fugue, for the Dask cluster of the request, if it names one."""
    if request["dask"] is None:
        yield None
        return
    import cloudpickle
    from distributed import Client
    from pycaret.parallel import FugueBackend

    for module in (project_parts, json_lines):  # a worker has PyCaret, but not this folder
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
    classes = {m.class_def.__name__: m.class_def for m in experiment._all_models_internal.values()}
    final = experiment.finalize_model(from_json(content, classes))
    sample = pd.read_parquet(request["sample"])
    answers = experiment.predict_model(final, data=sample, verbose=False)
    pd.DataFrame({"label": answers["prediction_label"].astype("int64")}).to_parquet(
        request["predictions"]
    )


def lines_of_input():
    """Return a queue of the lines. At their end, kill this process group with joblib's workers."""
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
