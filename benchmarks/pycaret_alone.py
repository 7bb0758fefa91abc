"""PyCaret as in its documentation: pycaret_alone.py train.parquet folds seed how

It runs in PyCaret's environment and uses no code of this project.
"""

import sys

import pandas as pd
from pycaret.classification import compare_models, finalize_model, setup

table, folds, seed, how = sys.argv[1:]
setup(
    pd.read_parquet(table),
    target="target",
    session_id=int(seed),
    fold=int(folds),
    html=False,
    verbose=False,
    **({"n_jobs": 1, "memory": False} if how == "as in the step" else {}),
)
print(finalize_model(compare_models(verbose=False)))
