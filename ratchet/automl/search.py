"""PyCaret's search, in PyCaret's environment, with files between it and the project.

Its standard input names them: first the request (ratchet/automl/request.py says what stands in it),
then, once "searched" is said, the candidate to finalise. Candidates go into a file as soon as they
are scored. When its standard input closes, whoever started it is gone, and it ends.
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

import pandas as pd
import parity
import telling
from imblearn.over_sampling import RandomOverSampler
from parity import metrics_of, prepared
from pycaret.classification import ClassificationExperiment
from pycaret.internal.preprocess.transformers import FixImbalancer
from sklearn.ensemble import AdaBoostClassifier, GradientBoostingClassifier
from telling import append, described, last_line, revived, scores

LOWER_IS_BETTER = ("log_loss", "brier")
DIGITS = 12  # PyCaret rounds to 4, which makes ties


class BudgetSpent(BaseException):
    """No Exception: PyCaret passes over those, and goes on."""


class Experiment(ClassificationExperiment):
    """PyCaret's own, telling of each candidate as soon as every fold is scored."""

    way = "compare"
    began = None  # of what takes longer than its last model: tuning
    file = None
    topic = None  # where a worker of a cluster tells of its candidates

    def _create_model(self, estimator, *arguments, cross_validation=True, **options):
        options["cross_validation"] = cross_validation
        if not cross_validation:
            return super()._create_model(estimator, *arguments, **options)
        options["error_score"] = "raise"  # PyCaret would call a fold that failed a score of 0
        began, self.began = self.began or time.perf_counter(), None
        try:
            made = super()._create_model(estimator, *arguments, **options)
        except Exception as error:
            self._tell({"failed": self._class_name(estimator), "reason": last_line(error)})
            raise
        folds = scores(made[0], self.pull().drop(index=["Mean", "Std"]))
        took = {"way": self.way, "seconds": time.perf_counter() - began}
        self._tell(took | {"folds": folds} | described(made[0]))
        return made

    def _class_name(self, estimator):
        if isinstance(estimator, str):
            return self._all_models_internal[estimator].class_def.__name__
        return type(estimator).__name__

    def _tell(self, what):
        if self._remote:
            from distributed import get_worker

            get_worker().log_event(self.topic, what)
        else:
            append(self.file, what)


def set_up(request):
    table = pd.read_parquet(request["train"])
    experiment = Experiment()
    experiment.file = request["candidates"]
    experiment.setup(
        table.iloc[:-1],
        test_data=table.iloc[-1:],  # PyCaret wants some; it finalises on all, in this order
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
    for name, asks, metric in metrics_of(table["target"].nunique()):
        better = name not in LOWER_IS_BETTER
        experiment.add_metric(name, name, metric, asks, greater_is_better=better)
    return experiment


def balanced(request):
    """PyCaret's own, by repeating rows: a config says the same as class_weight: balanced."""
    if not request["imbalance"]:
        return []
    return [("balance", FixImbalancer(RandomOverSampler(random_state=request["seed"])))]


def search(experiment, request):
    """Compare all, tune the best few, blend the better of each; until the budget is spent."""
    signal.signal(signal.SIGALRM, spend)
    signal.setitimer(signal.ITIMER_REAL, request["budget_minutes"] * 60, 5)
    try:
        best = compare(experiment, request)
        experiment.way = "tune"
        better = [tune(experiment, request, model, score) for model, score in best]
        experiment.way = "blend"
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
    """The best few, each with its score."""
    with cluster(request) as parallel:
        found = experiment.compare_models(
            include=included(experiment, request["estimators"]),
            sort=request["metric"],
            n_select=request["n_select"],
            budget_time=request["budget_minutes"],
            round=DIGITS,
            verbose=False,
            parallel=parallel,
        )
    models = found if isinstance(found, list) else [found]
    return list(zip(models, experiment.pull()[request["metric"]], strict=False)) if models else []


def included(experiment, names):
    """PyCaret's ids; but what a current scikit-learn means otherwise, as it means it.

    It has no SAMME.R, and by its friedman_mse min_impurity_decrease is on another scale.
    """
    ids = {m.class_def.__name__: i for i, m in experiment._all_models_internal.items()}
    seed = experiment.seed
    meant = {
        "AdaBoostClassifier": AdaBoostClassifier(algorithm="SAMME", random_state=seed),
        "GradientBoostingClassifier": GradientBoostingClassifier(
            criterion="squared_error", random_state=seed
        ),
    }
    return [meant.get(name, ids[name]) for name in names]


@contextmanager
def cluster(request):
    """PyCaret's own backend, Fugue, on the Dask cluster at that address; or none."""
    if request["dask"] is None:
        yield None
        return
    import cloudpickle
    from distributed import Client
    from pycaret.parallel import FugueBackend

    for module in (parity, telling):  # a worker has PyCaret, and not this folder
        cloudpickle.register_pickle_by_value(module)
    Experiment.topic = f"ratchet-automl-{secrets.token_hex(8)}"
    with Client(request["dask"], timeout=10) as client:
        client.subscribe_topic(
            Experiment.topic, lambda event: append(request["candidates"], event[1])
        )
        yield FugueBackend(client)


def tune(experiment, request, model, score):
    """The tuned model, where it is better than the one it comes from."""
    if not request["tune_iterations"]:
        return model
    experiment.began = time.perf_counter()
    try:
        tuned = experiment.tune_model(
            model, n_iter=request["tune_iterations"], optimize=request["metric"], round=DIGITS,
            verbose=False, tuner_verbose=False, choose_better=False,
        )  # fmt: skip
    except Exception as error:  # whatever a combination of parameters makes of an estimator
        append(request["candidates"], {"failed": type(model).__name__, "reason": last_line(error)})
        return model
    sign = -1 if request["metric"] in LOWER_IS_BETTER else 1
    found = experiment.pull().loc["Mean", request["metric"]]
    return tuned if sign * found > sign * score else model


def finalise(experiment, request, description):
    known = {m.class_def.__name__: m.class_def for m in experiment._all_models_internal.values()}
    final = experiment.finalize_model(revived(description, known))
    sample = pd.read_parquet(request["sample"])
    answers = experiment.predict_model(final, data=sample, verbose=False)
    pd.DataFrame({"label": answers["prediction_label"].astype("int64")}).to_parquet(
        request["predictions"]
    )


def lines_of_input():
    """The lines as they come. At its end this whole process group ends, joblib's workers too."""
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
        append(request["candidates"], {"searched": False})
        search(experiment, request)
    append(request["candidates"], {"searched": True})
    finalise(experiment, request, json.loads(Path(lines.get()).read_text()))


if __name__ == "__main__":
    main()
