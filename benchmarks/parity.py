"""Whether SQL, arrays and scikit-learn decide alike, on a million rows of the kind that usually goes wrong.

Each model is trained as ``wml train`` does, on numbers, a category, a boolean and a date. Then it scores rows of which
half are drawn like the training rows and half from the edges: missing values, NaN, infinities, every threshold of the
trees and its neighbours in float64 and float32, the midpoints of the latter, denormals, huge numbers, categories never
seen. Differences are relative to the score, or to 1 where the score is smaller.

    python benchmarks/parity.py [rows]
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import pyarrow as pa
import sqlglot

from warehouse_ml.options import resolve_options
from warehouse_ml.scoring import Parameters, compile_scoring
from warehouse_ml.scoring.arrays import Predictions, matrix, predict
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.training import fit as fitting
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

MODELS = [
    ("LINEAR_REG", "value", {}),
    ("LOGISTIC_REG", "yes", {}),
    ("LOGISTIC_REG", "colour", {}),
    ("BOOSTED_TREE_CLASSIFIER", "yes", {"EARLY_STOP": False, "MAX_ITERATIONS": 100}),
    ("BOOSTED_TREE_CLASSIFIER", "colour", {"EARLY_STOP": False, "MAX_ITERATIONS": 30}),
    ("BOOSTED_TREE_REGRESSOR", "value", {"EARLY_STOP": False, "MAX_ITERATIONS": 100}),
    ("RANDOM_FOREST_CLASSIFIER", "yes", {"NUM_PARALLEL_TREE": 30, "MAX_TREE_DEPTH": 8}),
    ("RANDOM_FOREST_CLASSIFIER", "colour", {"NUM_PARALLEL_TREE": 10, "MAX_TREE_DEPTH": 7}),
    ("RANDOM_FOREST_REGRESSOR", "value", {"NUM_PARALLEL_TREE": 10, "MAX_TREE_DEPTH": 9}),
]
NUMBERS = ("normal", "skewed", "whole", "single", "tiny")
TRAINING = Relation("training_rows")
TRIED = Relation("tried_rows")
_N_TRAIN = 20_000
_BLOCK = 100_000


def numbers(rng: np.random.Generator, n_rows: int) -> dict[str, np.ndarray]:
    normal = rng.normal(size=(len(NUMBERS), n_rows))
    return {
        "normal": normal[0],
        "skewed": np.exp(2 * normal[1]),
        "whole": np.round(10 * normal[2]),
        "single": normal[3].astype(np.float32).astype(np.float64),
        "tiny": normal[4] * 1e-9 + 1e9,
    }


def others(rng: np.random.Generator, n_rows: int, names: list[str | None]) -> dict[str, pa.Array]:
    """Return the columns that are no numbers; a tenth is missing."""
    return {
        "city": pa.array([names[i] for i in rng.integers(0, len(names), n_rows)], pa.string()),
        "flag": pa.array(rng.random(n_rows) < 0.5, mask=rng.random(n_rows) < 0.1),
        "day": pa.array(rng.integers(-9999, 20000, n_rows).astype("datetime64[D]"), mask=rng.random(n_rows) < 0.1),
    }


def load_training_rows(warehouse: DuckDBWarehouse) -> None:
    rng = np.random.default_rng(1)
    columns = numbers(rng, _N_TRAIN)
    rest = others(rng, _N_TRAIN, [*(f"city {i}" for i in range(30)), None])
    flag = rest["flag"].fill_null(False).to_numpy(zero_copy_only=False)
    value = columns["normal"] * 2 + np.log(columns["skewed"]) * flag + np.sin(columns["whole"]) + columns["single"] ** 2
    value += rng.normal(size=_N_TRAIN) * 0.3
    table = {name: pa.array(column, mask=rng.random(_N_TRAIN) < 0.1) for name, column in columns.items()}
    labels = {
        "yes": pa.array(value > np.median(value)),
        "colour": pa.array(np.where(value > 2, "red", np.where(value > 0, "green", "blue"))),
        "value": pa.array(value),
        "split": pa.array(np.where(np.arange(_N_TRAIN) % 5 == 0, "eval", "train")),
        "number": pa.array(np.arange(_N_TRAIN)),
    }
    warehouse.load(TRAINING, pa.table({**table, **rest, **labels}))


def load_tried_rows(warehouse: DuckDBWarehouse, parameters: Parameters, n_rows: int) -> None:
    rng = np.random.default_rng(2)
    columns: dict[str, Any] = {}
    for name, usual in numbers(rng, n_rows).items():
        index = next(i for i, feature in enumerate(parameters.features) if feature.name == name)
        edges = rng.choice(edges_of(parameters, index), n_rows)
        columns[name] = pa.array(np.where(rng.random(n_rows) < 0.5, usual, edges), mask=rng.random(n_rows) < 0.05)
    columns |= others(rng, n_rows, [*(f"city {i}" for i in range(31)), "", "City 1", "ürümqi", None])
    columns["number"] = np.arange(n_rows)
    warehouse.load(TRIED, pa.table(columns))


def edges_of(parameters: Parameters, index: int) -> np.ndarray:
    """Return the values of a column at which paths may part."""
    # scikit-learn's forests refuse what float32 cannot hold, and its linear models overflow.
    huge = 3e38 if parameters.is_forest else 1e100
    points = [np.array([0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e-45, huge, -huge, 1e15, np.inf, -np.inf, np.nan])]
    trees = parameters.trees
    if trees is not None and (trees.feature == index).any():
        thresholds = trees.threshold[trees.feature == index]
        thresholds = thresholds[np.abs(thresholds) <= huge]
        single = thresholds.astype(np.float32)
        up, down = np.nextafter(single, np.float32(np.inf)), np.nextafter(single, np.float32(-np.inf))
        points += [thresholds, np.nextafter(thresholds, np.inf), np.nextafter(thresholds, -np.inf)]
        points += [single, up, down, (single.astype(float) + up) / 2, (single.astype(float) + down) / 2]
    found = np.concatenate(points)
    return found[~np.isfinite(found) | (np.abs(found) <= huge)]


def trained(warehouse: DuckDBWarehouse, model_type: str, label: str, options: dict[str, Any]) -> Any:
    """Return the parameters, and the estimator's own predictions of an encoded matrix."""
    names = [*NUMBERS, "city", "flag", "day"]
    columns = {name: kind for name, kind in warehouse.columns(f"select * from {TRAINING}").items() if name in names}
    fitted = fit_preprocessing(
        warehouse, TRAINING, infer_features(columns), family_of(model_type), split_column="split"
    )
    kept = {}
    originals = {name: getattr(fitting, name) for name in ("fit_linear", "fit_boosting", "fit_forest")}
    for name, original in originals.items():

        def keep(*arguments: Any, original: Any = original) -> Any:
            kept["expect"] = (found := original(*arguments)).expect
            return found

        setattr(fitting, name, keep)
    try:
        result = fitting.fit(
            warehouse,
            TRAINING,
            fitted,
            model_type=model_type,
            label=label,
            weight_column=None,
            options=resolve_options(model_type, options),
            split_column="split",
            order_by="number",
        )
    finally:
        for name, original in originals.items():
            setattr(fitting, name, original)
    return result.parameters, kept["expect"]


def in_sql(warehouse: DuckDBWarehouse, parameters: Parameters) -> Predictions:
    query = compile_scoring(parameters, sqlglot.exp.to_table(TRIED.name), ["number"]).sql(dialect="duckdb")
    rows = warehouse.fetch(f"select * from ({query}) as scored order by number")
    score = rows["score"].to_numpy()
    if parameters.task == "regression":
        return Predictions(score, None, None)
    codes = rows["prediction"].combine_chunks().dictionary_encode()
    classes = np.array([parameters.classes.index(name) for name in codes.dictionary.to_pylist()])
    return Predictions(score, classes[codes.indices.to_numpy()], None)


def compare(found: Predictions, expected: Predictions) -> tuple[int, int, float]:
    """Return wrong decisions, decisions that differ at a tie to within 1e-12, and the largest relative difference."""
    difference = np.abs(found.score - expected.score) / np.maximum(np.abs(expected.score), 1.0)
    if found.prediction is None or expected.prediction is None:
        return 0, 0, float(difference.max())
    is_other = found.prediction != expected.prediction
    is_tie = is_other & (difference <= 1e-12)
    if expected.probabilities is not None and expected.probabilities.shape[1] > 1:
        ordered = np.sort(expected.probabilities, axis=1)
        is_tie &= ordered[:, -1] - ordered[:, -2] <= 1e-12
    return int((is_other & ~is_tie).sum()), int(is_tie.sum()), float(difference.max())


def joined(parts: list[Predictions]) -> Predictions:
    def together(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if arrays[0] is None else np.concatenate(arrays)

    return Predictions(together("score"), together("prediction"), together("probabilities"))


def main(n_rows: int) -> None:
    warehouse = DuckDBWarehouse(threads=2)
    load_training_rows(warehouse)
    heads = f"{'model':26}{'label':8}{'leaves':>8}  {'path':8}{'wrong':>7}{'ties':>6}{'largest difference':>20}{'s':>7}"
    print(f"{n_rows:,} rows\n{heads}")
    for model_type, label, options in MODELS:
        began = time.perf_counter()
        parameters, expect = trained(warehouse, model_type, label, options)
        load_tried_rows(warehouse, parameters, n_rows)
        query = encode_select(parameters.features, sqlglot.exp.to_table(TRIED.name), ["number"]).sql(dialect="duckdb")
        rows = warehouse.fetch(f"select * from ({query}) as encoded order by number")
        encoded = matrix(rows, len(parameters.features))
        del rows
        blocks = [encoded[start : start + _BLOCK] for start in range(0, n_rows, _BLOCK)]
        with np.errstate(invalid="ignore"):  # scikit-learn's check for infinities adds what is huge
            expected = joined([expect(block) for block in blocks])
        found = {
            "sql": in_sql(warehouse, parameters),
            "arrays": joined([predict(parameters, block) for block in blocks]),
        }
        n_leaves = parameters.trees.n_leaves if parameters.trees else 0
        for path, predictions in found.items():
            n_wrong, n_ties, worst = compare(predictions, expected)
            print(
                f"{model_type.lower():26}{label:8}{n_leaves:8,}  {path:8}{n_wrong:7,}{n_ties:6,}{worst:20.1e}"
                f"{time.perf_counter() - began:7.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
