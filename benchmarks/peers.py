"""Models of scikit-learn, the same models as parameters of ours, and the other ways of scoring them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Before scikit-learn is imported: two threads, which give way instead of spinning.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import duckdb
import numpy as np
import pyarrow as pa
import sqlglot
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from warehouse_ml.scoring import FittedFeature, Linear, Parameters, compile_scoring, score_arrow, scoring_path
from warehouse_ml.tables import spooled
from warehouse_ml.training.grown import boosted_trees, forest_trees
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

N_FEATURES = 20
NAMES = [f"x{index}" for index in range(N_FEATURES)]
THREADS = 2
BATCH_ROWS = 100_000
_FIT_ROWS = 50_000

ROWS = """
create or replace table requests as
select
    n as request_id,
    {columns}
from range({n_rows}) as numbers (n)
"""


@dataclass(frozen=True)
class Model:
    """One model, twice.

    Parameters
    ----------
    name : str
    estimator : estimator or pipeline of scikit-learn
    parameters : Parameters
        The same model as ours.
    """

    name: str
    estimator: Any
    parameters: Parameters


def make_requests(connection: duckdb.DuckDBPyConnection, n_rows: int) -> None:
    """Write the table ``requests``: request_id and twenty doubles, one in twenty of them NULL, the same each time."""
    uniform = "((hash(n * 40 + {seed}) >> 12) / 4503599627370496e0)"
    columns = []
    for index, name in enumerate(NAMES):
        first, second = uniform.format(seed=2 * index), uniform.format(seed=2 * index + 1)
        normal = f"sqrt(-2e0 * ln(1e0 - {first})) * cos(6.283185307179586e0 * {second})"
        value = {0: normal, 1: f"exp({normal})", 2: f"round(100e0 * {normal})", 3: second}[index % 4]
        columns.append(f"case when hash(n * 40 + {index} + 1000003) % 20 > 0 then {value} end as {name}")
    connection.execute(ROWS.format(columns=",\n    ".join(columns), n_rows=n_rows))


def matrix(batch: pa.RecordBatch | pa.Table, kind: type = np.float64) -> np.ndarray:
    """Return the features of a batch, NaN for NULL."""
    result = np.empty((batch.num_rows, N_FEATURES), dtype=kind)
    for index, name in enumerate(NAMES):
        result[:, index] = batch.column(name).to_numpy(zero_copy_only=False)
    return result


def _training_data() -> tuple[np.ndarray, np.ndarray]:
    with duckdb.connect() as connection:
        make_requests(connection, _FIT_ROWS)
        x = matrix(connection.sql("select * from requests order by request_id").to_arrow_table())
    known = np.nan_to_num(x)
    z = known[:, 0] * known[:, 4] + np.sin(2 * known[:, 8]) + np.log1p(known[:, 1]) - 0.01 * known[:, 2]
    z += 2 * known[:, 3] * known[:, 7] + 0.3 * known[:, 12:].sum(axis=1) * 0.1
    return x, z + np.random.default_rng(0).normal(size=len(z)) > np.median(z)


def make_model(name: str) -> Model:
    """Fit one of ``MODELS``."""
    x, y = _training_data()
    if name == "logistic":
        pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(x, y)
        means, scaler, fitted = pipeline[0].statistics_, pipeline[1], pipeline[2]
        features = tuple(
            FittedFeature(column, "number", "standard", mean=float(mean), stddev=float(scale))
            for column, mean, scale in zip(NAMES, means, scaler.scale_, strict=True)
        )
        linear = Linear(
            (float(fitted.intercept_[0]),),
            (tuple((float(weight),) for weight in fitted.coef_[0]),),
            ((0.0,) * N_FEATURES,),
        )
        return Model(name, pipeline, _parameters("LOGISTIC_REG", features, linear=linear))
    features = tuple(FittedFeature(column, "number", "double") for column in NAMES)
    if name == "boosting":
        estimator = HistGradientBoostingClassifier(early_stopping=False, random_state=0).fit(x, y)
        return Model(name, estimator, _parameters("BOOSTED_TREE_CLASSIFIER", features, trees=boosted_trees(estimator)))
    n_trees, depth = {"tree": (1, 8), "forest": (100, 8), "deep_forest": (100, 15)}[name]
    forest = RandomForestClassifier(n_trees, max_depth=depth, n_jobs=THREADS, random_state=0).fit(x, y)
    shape = _parameters("RANDOM_FOREST_CLASSIFIER", features)
    return Model(name, forest, _parameters("RANDOM_FOREST_CLASSIFIER", features, trees=forest_trees(forest, shape)))


MODELS = ("logistic", "tree", "boosting", "forest", "deep_forest")


def _parameters(model_type: str, features: tuple[FittedFeature, ...], **parts: Any) -> Parameters:
    return Parameters(model_type, "binary", "y", "BOOLEAN", ("false", "true"), features, **parts)


def ours(warehouse: DuckDBWarehouse, model: Model, path: str | None = None) -> None:
    """Score ``requests`` into ``scored`` as ML.PREDICT does, by the path of the model or by the one that is given."""
    if (path or scoring_path(model.parameters)) == "sql":
        warehouse.run(our_sql(model))
        return
    with spooled(score_arrow(warehouse, model.parameters, "select * from requests", ["request_id"])) as rows:
        warehouse.load(Relation("scored"), rows)


def our_sql(model: Model) -> str:
    """Return our statement that writes ``scored``."""
    query = compile_scoring(model.parameters, sqlglot.exp.to_table("requests"), ["request_id"])
    return f"create or replace table scored as {query.sql(dialect='duckdb', copy=False)}"


def stream(warehouse: DuckDBWarehouse, score: Callable[[pa.RecordBatch], np.ndarray]) -> None:
    """Read ``requests`` in Arrow batches, score each, and insert it into ``scored``."""
    writer = warehouse._connection.cursor()
    writer.execute(_EMPTY)
    for batch in warehouse.stream("select * from requests", batch_rows=BATCH_ROWS):
        rows = pa.table({"request_id": batch.column("request_id"), "score": score(batch)})
        writer.register("batch_rows", rows)
        writer.execute(_INSERT)
        writer.unregister("batch_rows")


_EMPTY = "create or replace table scored (request_id bigint, score double, prediction varchar)"
_INSERT = """
insert into scored
select request_id, score, case when score >= 0.5 then 'true' else 'false' end as prediction
from batch_rows
"""


def with_scikit_learn(model: Model) -> Callable[[pa.RecordBatch], np.ndarray]:
    """Return the estimator's own probability of the positive class."""
    return lambda batch: model.estimator.predict_proba(matrix(batch))[:, 1]


def with_onnx(model: Model) -> Callable[[pa.RecordBatch], np.ndarray]:
    """Return ONNX Runtime's probability; the converted model takes and gives float32."""
    import onnxruntime
    from skl2onnx import to_onnx

    options = {id(model.estimator): {"zipmap": False}}
    converted = to_onnx(model.estimator, np.zeros((1, N_FEATURES), dtype=np.float32), options=options)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(converted.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    name, probabilities = session.get_inputs()[0].name, session.get_outputs()[1].name

    def score(batch: pa.RecordBatch) -> np.ndarray:
        found = session.run([probabilities], {name: matrix(batch, np.float32)})[0]
        return found[:, 1].astype(np.float64)

    return score


def orbital_sql(model: Model) -> str:
    """Return orbital's statement that writes ``scored``, in the order of ``requests``; it keeps no other column.

    Raises
    ------
    Exception
        Of orbital's own, if it does not know the model.
    """
    import orbital
    from orbital import types

    pipeline = model.estimator if hasattr(model.estimator, "steps") else make_pipeline(model.estimator)
    known = orbital.parse_pipeline(pipeline, features={name: types.DoubleColumnType() for name in NAMES})
    query = orbital.export_sql("requests", known, dialect="duckdb")
    return f'create or replace table scored as select "output_probability.1" as score from ({query}) as found'
