"""Three other ways to score a Parquet file: python -m benchmarks.score_peers WAY DATA OUT

bare: the least that it takes; pyfunc: mlflow.pyfunc with pandas in chunks; cli: `mlflow models
predict` on a CSV of the data, which is written first and counts as part of it.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BATCH_ROWS = 32_768
CHUNK_ROWS = 100_000
MODEL = "models:/wide@prod"


def bare(data: str, out: str) -> None:
    """Encode the categories as the model's own encoder does, and ask the booster on one thread."""
    pipeline = model()
    booster = pipeline["model"].booster_
    categories = {
        name: pa.array(known)
        for _, transformer, names in pipeline["prepare"].transformers_
        if hasattr(transformer.steps[-1][1], "categories_")
        for name, known in zip(names, transformer.steps[-1][1].categories_, strict=True)
    }
    order = [name for _, _, names in pipeline["prepare"].transformers_ for name in names]
    classes = np.asarray(pipeline.classes_)
    writer, start = None, 0
    for batch in pq.ParquetFile(data).iter_batches(BATCH_ROWS):
        block = np.empty((batch.num_rows, len(order)))
        for place, name in enumerate(order):
            column = batch.column(name)
            if name in categories:
                column = pc.index_in(column, value_set=categories[name]).cast("float64")
            block[:, place] = column.to_numpy(zero_copy_only=False)
        second = booster.predict(block, num_threads=1)
        probabilities = np.stack([1 - second, second], axis=1)
        table = pa.table(
            {
                "row": np.arange(start, start + batch.num_rows),
                "prediction": classes[probabilities.argmax(axis=1)],
                **{f"probability_{one}": probabilities[:, i] for i, one in enumerate(classes)},
            }
        )
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
        start += batch.num_rows
    assert writer is not None
    writer.close()


def pyfunc(data: str, out: str) -> None:
    import mlflow

    loaded = mlflow.pyfunc.load_model(MODEL)
    writer = None
    for batch in pq.ParquetFile(data).iter_batches(CHUNK_ROWS):
        table = pa.table({"prediction": np.asarray(loaded.predict(batch.to_pandas()))})
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def cli(data: str, out: str) -> None:
    table = Path(data).with_suffix(".csv")
    pq.read_table(data).to_pandas().to_csv(table, index=False)
    command = ["mlflow", "models", "predict", "-m", MODEL, "-i", str(table), "-o", f"{out}.json"]
    command += ["-t", "csv", "--env-manager", "local"]
    subprocess.run([sys.executable, "-m", *command], check=True)


def model() -> Any:
    import mlflow

    from ratchet.model import model_file

    return model_file.load(Path(mlflow.artifacts.download_artifacts(MODEL)))


if __name__ == "__main__":
    {"bare": bare, "pyfunc": pyfunc, "cli": cli}[sys.argv[1]](*sys.argv[2:])
