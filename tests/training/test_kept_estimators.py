"""Estimators that are kept as they are: against scikit-learn, back from their file, and every door of that file."""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.svm import SVC
from sqlglot import exp

from tests.tiny import edit, write_tiny
from tests.wml import ok, rows, wml
from warehouse_ml.errors import ArtifactError, DefinitionError
from warehouse_ml.options import ESTIMATORS, resolve_options
from warehouse_ml.scoring import compile_scoring, scoring_path
from warehouse_ml.scoring.arrays import matrix, predict
from warehouse_ml.scoring.features import encode_select
from warehouse_ml.scoring.kept import KEPT_TYPES, Kept, checked
from warehouse_ml.scoring.parameters import Parameters
from warehouse_ml.training.fit import fit
from warehouse_ml.training.preprocessing import family_of, fit_preprocessing, infer_features
from warehouse_ml.training.sklearn_estimators import make_estimator
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

N = 160
LABELS = ["value", "yes", "colour", "split", "number"]
NAMES = [name for name, spec in ESTIMATORS.items() if spec.form == "kept"]
CASES = [
    (name, label) for name in NAMES for label in (("yes", "colour") if ESTIMATORS[name].is_classifier else ("value",))
]
PARAMS = {
    "MLPRegressor": {"hidden_layer_sizes": 4, "max_iter": 20},
    "MLPClassifier": {"hidden_layer_sizes": 4, "max_iter": 20},
    "NuSVC": {"nu": 0.2},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "KernelRidge": {"kernel": "rbf"},
    "KNeighborsRegressor": {"weights": "distance"},
}


def table(n: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    x, y = random.normal(size=n), random.normal(size=n)
    kind = random.choice(["a", "b", "it's; -- c"], n)
    value = x * y + (kind == "b")
    return pa.table(
        {
            "x": pa.array(x, mask=random.random(n) < 0.05),
            "y": y,
            "kind": kind,
            "value": value,
            "yes": value > 0.2,
            "colour": np.where(value > 0.8, "red", np.where(value > 0, "green", "blue")),
            "split": np.where(np.arange(n) % 5 == 0, "eval", "train"),
            "number": np.arange(n),
        }
    )


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=1)
    warehouse.load(Relation("rows"), table(N, 1))
    warehouse.load(Relation("fresh"), table(60, 2))
    yield warehouse
    warehouse.close()


@functools.cache
def _trained(warehouse, name, label):
    params = PARAMS.get(name.rpartition(".")[2], {})
    options = resolve_options("SKLEARN", {"ESTIMATOR": name, "PARAMS": params})
    features = infer_features(warehouse.columns("select * from rows"), exclude=LABELS)
    fitted = fit_preprocessing(
        warehouse, Relation("rows"), features, family_of("SKLEARN", options), split_column="split"
    )
    return fit(
        warehouse,
        Relation("rows"),
        fitted,
        model_type="SKLEARN",
        label=label,
        weight_column=None,
        options=options,
        split_column="split",
        order_by="number",
        place="m.sql",
    )


@pytest.fixture
def trained(warehouse):
    return lambda name, label="yes": _trained(warehouse, name, label).parameters


def matrix_of(warehouse, parameters, relation, where="true"):
    source = exp.select("*").from_(relation).where(where)
    query = encode_select(parameters.features, source, ["number"]).order_by("number")
    return matrix(warehouse.fetch(query.sql(dialect="duckdb")), len(parameters.features))


def by_hand(warehouse, parameters, relation, where="true"):
    """The design matrix, made here once more: numbers standardised, a column for each category."""
    found = warehouse.fetch(f"select * from {relation} where {where} order by number")
    known = warehouse.fetch("select * from rows where split = 'train'")
    columns = []
    for name in ("x", "y"):
        numbers = np.array([v for v in known[name].to_pylist() if v is not None])
        values = np.array([numbers.mean() if v is None else v for v in found[name].to_pylist()])
        columns.append((values - numbers.mean()) / numbers.std())
    columns += [np.array([v == name for v in found["kind"].to_pylist()], float) for name in ("a", "b", "it's; -- c")]
    return np.column_stack(columns)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("name", "label"), CASES, ids=lambda x: str(x).rpartition(".")[2])
def test_rows_never_seen_are_scored_as_by_scikit_learn(warehouse, trained, name, label):
    parameters = trained(name, label)
    again = Parameters.from_tables(parameters.to_tables(), parameters.kept.content)
    found = predict(again, matrix_of(warehouse, parameters, "fresh"))
    spec = ESTIMATORS[name]
    oracle = make_estimator(name, PARAMS.get(name.rpartition(".")[2], {}))
    if spec.is_calibrated:
        oracle = CalibratedClassifierCV(oracle, ensemble=False, cv=5)
    answers = (
        warehouse.fetch(f"select {label} from rows where split = 'train' order by number").column(0).to_numpy(False)
    )
    oracle.fit(by_hand(warehouse, parameters, "rows", "split = 'train'"), answers)
    fresh = by_hand(warehouse, parameters, "fresh")
    if not spec.is_classifier:
        np.testing.assert_allclose(found.score, oracle.predict(fresh), rtol=1e-6, atol=1e-6)
        return
    np.testing.assert_allclose(found.probabilities, oracle.predict_proba(fresh), atol=1e-6)
    if label == "colour":
        assert [parameters.classes[index] for index in found.prediction] == list(oracle.predict(fresh))


def test_the_same_training_gives_the_same_bytes(warehouse, trained):
    for name in ("sklearn.neighbors.KNeighborsClassifier", "sklearn.svm.SVC", "sklearn.naive_bayes.GaussianNB"):
        assert _trained.__wrapped__(warehouse, name, "yes").parameters.kept.content == trained(name).kept.content


def test_a_kept_estimator_has_no_sql(trained):
    parameters = trained("sklearn.svm.SVC")
    assert scoring_path(parameters, forced="SQL", is_stored=True) == "arrow"
    with pytest.raises(DefinitionError, match="neither SQL nor coefficients"):
        compile_scoring(parameters, exp.to_table("rows"))
    with pytest.raises(DefinitionError, match="neither SQL nor coefficients"):
        parameters.only_linear()


def test_the_list_is_that_of_the_options():
    assert sorted(KEPT_TYPES) == sorted(NAMES)
    for name, types in KEPT_TYPES.items():
        assert all(one.startswith("sklearn.") for one in types), name


# --- the doors ---------------------------------------------------------------------------------------------------


class Mine:
    """A type of the attacker's own; restored, it would leave a file."""

    def __setstate__(self, state: object) -> None:
        os.abort()


def unpack(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return json.loads(archive.read("schema.json")), {
            n: archive.read(n) for n in archive.namelist() if n != "schema.json"
        }


def pack(schema, files, compression=zipfile.ZIP_STORED, extra=()):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in {**files, **dict(extra)}.items():
            archive.writestr(name, content)
        archive.writestr("schema.json", schema if isinstance(schema, bytes) else json.dumps(schema))
    return packed.getvalue()


NB = "sklearn.naive_bayes.GaussianNB"


def smuggled(value):
    """A file of a GaussianNB with something in one of its attributes, as skops itself writes it."""
    from sklearn.naive_bayes import GaussianNB

    estimator = GaussianNB().fit([[0.0], [1.0]], [0, 1])
    estimator.priors = value
    return skops.io.dumps(estimator)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (os.system, "holds posix.system"),
        (functools.partial(os.system, "true"), "holds functools.partial by PartialNode"),
        (Mine(), "Mine by ObjectNode"),
        (np.array([os.system], dtype=object), "array of objects"),
        (np.array([1, None], dtype=object), "array of objects"),
        (SVC(), "holds sklearn.svm._classes.SVC by ObjectNode"),
        (np.add, "holds numpy"),
        ({1, 2}, "holds builtins.set by SetNode"),
        (int, "holds builtins.int by TypeNode"),
        (np.random.RandomState(0), "RandomStateNode"),
        (b"bytes", "holds .*bin"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_a_type_outside_of_the_list_is_refused(value, told):
    with pytest.raises(ArtifactError, match=told):
        checked(smuggled(value), NB)


def test_a_file_of_another_estimator_is_refused(trained):
    with pytest.raises(ArtifactError, match=r"holds sklearn.calibration.CalibratedClassifierCV, not"):
        checked(trained("sklearn.svm.SVC").kept.content, NB)


def test_a_pickle_is_refused():
    with pytest.raises(ArtifactError, match="cannot be read: BadZipFile"):
        checked(pickle.dumps(Mine()), NB)


def test_a_zip_is_read_with_suspicion(trained):
    schema, files = unpack(trained(NB).kept.content)
    assert checked(pack(schema, files), NB) == trained(NB).kept.content
    name = next(iter(files))
    for content, told in (
        (pack(schema, files, extra=[("../../etc/cron.d/x", b"")]), 'holds "../../etc/cron.d/x"'),
        (pack(schema, files, extra=[("x.pkl", b"")]), 'holds "x.pkl"'),
        (pack(schema, files, zipfile.ZIP_DEFLATED), "is compressed"),
        (pack(schema, {**files, name: b"\x93NUMPY\x02\x00"}), "another format"),
        (pack(schema, {**files, name: pickle.dumps([1])}), "another format"),
        (pack(schema, {k: v for k, v in files.items() if k != name}), "without its file"),
        (pack(b"[]", files), "no object"),
        (pack(b"[" * 100_000, files), "cannot be read"),
        (pack({**schema, "protocol": 0}, files), "has the protocol 0"),
        (pack({**schema, "__class__": "system", "__module__": "os"}, files), "holds os.system"),
        (pack({**schema, "__reduce__": {"args": []}}, files), "how an object is to be made"),
    ):
        with pytest.raises(ArtifactError, match=told):
            checked(content, NB)


def test_an_array_is_as_long_as_it_says(trained):
    schema, files = unpack(trained(NB).kept.content)
    name = next(iter(files))
    for header in (
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
        "{'descr': __import__('os').abort(), 'fortran_order': False, 'shape': (1,), }",
    ):
        array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\0" * 8
        with pytest.raises(ArtifactError, match="array"):
            checked(pack(schema, {**files, name: array}), NB)


def changed_array(content, attribute, change, name):
    """The file with one of the estimator's arrays replaced; its hashes would be right."""
    schema, files = unpack(content)

    def find(node):
        if isinstance(node, dict):
            if attribute in node and isinstance(node[attribute], dict) and "file" in node[attribute]:
                return node[attribute]
            return next((found for value in node.values() if (found := find(value))), None)
        return next((found for value in node if (found := find(value))), None) if isinstance(node, list) else None

    node = find(schema)
    written = io.BytesIO()
    np.save(written, change(np.load(io.BytesIO(files[node["file"]]))))
    node["file"], node["__id__"] = "999.npy", 999
    return checked(pack(schema, {**files, "999.npy": written.getvalue()}), name)


@pytest.mark.parametrize(
    ("name", "attribute", "change", "told"),
    [
        ("sklearn.svm.SVC", "_n_support", lambda a: a + 1000, "is torn"),
        ("sklearn.svm.SVC", "_dual_coef_", lambda a: a[:, :-1], "is torn"),
        ("sklearn.svm.SVC", "support_vectors_", lambda a: a[:, :-1], "is torn"),
        ("sklearn.svm.SVC", "_intercept_", lambda a: a[:0], "is torn"),
        ("sklearn.svm.SVC", "_probA", lambda a: np.ones(1), "probabilities of its own"),
        ("sklearn.neighbors.KNeighborsClassifier", "_y", lambda a: a + 7, "is torn"),
        ("sklearn.neighbors.KNeighborsClassifier", "_y", lambda a: a[:-1], "is torn"),
        ("sklearn.neighbors.KNeighborsClassifier", "_fit_X", lambda a: a[:, :-1], "is torn"),
        ("sklearn.naive_bayes.GaussianNB", "classes_", lambda a: a + 1, "knows other classes"),
    ],
)
def test_what_compiled_code_would_take_on_trust_is_checked(trained, name, attribute, change, told):
    kept = trained(name).kept
    content = changed_array(kept.content, attribute, change, name)
    with pytest.raises(ArtifactError, match=told):
        _ = Kept(name, content, kept.n_columns, kept.n_classes).estimator
    with pytest.raises(ArtifactError, match="was fitted on 5 columns"):
        _ = Kept(name, kept.content, 4, kept.n_classes).estimator


def test_without_skops_the_error_says_what_to_install(tmp_path):
    root = write_tiny(tmp_path)
    edit(root, "models/churn.sql", "model_type = 'logistic_reg'", "model_type = 'sklearn', estimator = 'GaussianNB'")
    ok(root, "build", "--as-of", "2024-02-05")
    code = "import sys; sys.modules['skops'] = None; from warehouse_ml.cli import main; main()"
    command = [sys.executable, "-c", code, "train", "churn", "--as-of", "2024-02-05"]
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=path)
    assert done.returncode == 2
    assert 'pip install "warehouse-ml[skops]"' in done.stderr
    assert not (root / "artifacts" / "churn").exists()


def test_a_project_trains_predicts_and_evaluates(tmp_path):
    root = write_tiny(tmp_path)
    edit(
        root,
        "models/churn.sql",
        "model_type = 'logistic_reg'",
        "model_type = 'sklearn', estimator = 'sklearn.svm.SVC', params = struct(2.0 as C)",
    )
    (row,) = ok(root, "train", "churn", "--as-of", "2024-02-05", "--format", "json").rows
    assert row["held_out_roc_auc"] > 0.5
    assert (root / "artifacts" / "churn" / "1" / "estimator.skops").stat().st_size > 1000
    assert "sklearn.svm.SVC" in (root / "artifacts" / "churn" / "1" / "scoring.sql").read_text()
    ok(root, "predict", "churn", "--as-of", "2024-02-12")
    assert rows(root, "select count(distinct score) as n from wml.request_log_churn")[0]["n"] > 10
    asked = "select * from ml.predict(model churn, table churn_requests)"
    assert len(rows(root, asked)) == rows(root, "select count(*) as n from churn_requests")[0]["n"]
    assert rows(root, "select * from ml.evaluate(model churn)")[0]["roc_auc"] == pytest.approx(row["held_out_roc_auc"])
    refused = wml(root, "query", "select * from ml.weights(model churn)")
    assert (refused.code, "ml.predict and ml.evaluate" in refused.err) == (2, True)
    refused = wml(root, "query", "select * from ml.explain_predict(model churn, table churn_requests)")
    assert refused.code == 2
    assert "neither SQL nor coefficients" in refused.err
    edit(root, "models/churn.sql", "estimator =", "scoring_path = 'sql', estimator =")
    refused = wml(root, "train", "churn", "--as-of", "2024-02-05")
    assert (refused.code, "scoring_path = 'sql' cannot be honoured" in refused.err) == (2, True)
