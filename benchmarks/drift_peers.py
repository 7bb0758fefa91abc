"""The alarms of Evidently or NannyML, which benchmarks.drift_quality runs in their environments.

python -m benchmarks.drift_peers evidently|nannyml FOLDER

FOLDER has a folder per case with files <check>-before.parquet and <check>-now.parquet. The last
line is JSON: the share of the checks of each case in which any column alarms, by the defaults.
"""

import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd


def evidently_alarms(before: pd.DataFrame, now: pd.DataFrame) -> bool:
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    from benchmarks.drift_evidently import drifted

    texts = list(now.select_dtypes("object"))
    definition = DataDefinition(
        numerical_columns=[name for name in now if name not in texts], categorical_columns=texts
    )
    sides = [Dataset.from_pandas(side, definition) for side in (now, before)]
    return bool(drifted(Report([DataDriftPreset()]).run(*sides).dict()["metrics"]))


def nannyml_alarms(before: pd.DataFrame, now: pd.DataFrame) -> bool:
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"  # it would send events to its makers
    from nannyml import UnivariateDriftCalculator

    calculator = UnivariateDriftCalculator(list(now), chunk_size=len(now))
    result = calculator.fit(before).calculate(now).filter(period="analysis").to_df()
    return bool(result.loc[:, [name[-1] == "alert" for name in result]].to_numpy().any())


ALARMS = {"evidently": evidently_alarms, "nannyml": nannyml_alarms}


def main(peer: str, folder: str) -> None:
    warnings.simplefilter("ignore")
    rates = {}
    for case in sorted(Path(folder).iterdir()):
        alarms = []
        for file in sorted(case.glob("*-before.parquet")):
            other = file.with_name(file.name.replace("before", "now"))
            alarms.append(ALARMS[peer](pd.read_parquet(file), pd.read_parquet(other)))
        rates[case.name] = round(float(np.mean(alarms)), 4)
    print(json.dumps(rates))


if __name__ == "__main__":
    main(*sys.argv[1:])
