"""The whole path with a TRANSFORM: trained, logged, evaluated, retrained; the scores are a scikit-learn pipeline's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures, StandardScaler

from tests.tiny import edit, write_tiny
from tests.wml import ok, rows, wml

SPLIT, END = "2024-02-05", "2024-03-04"
CLAUSE = """transform (
    ml.min_max_scaler(ml.imputer(amount, 'median') over ()) over () as amount,
    ml.one_hot_encoder(region, 'most_frequent') over () as region,
    ml.polynomial_expand(struct(amount / max(amount) over () as share, visits)) as poly,
    extract(hour from requested_at) as hour,
    has_churned
)
options (
    l2_reg = 1.0,"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_tiny(tmp_path_factory.mktemp("transform") / "tiny")
    edit(root, "models/churn.sql", "options (", CLAUSE)
    ok(root, "train", "churn", "--as-of", SPLIT)
    ok(root, "evaluate", "--as-of", END)
    return root


def pipeline(known: pd.DataFrame, estimator: Any) -> Pipeline:
    """Return what the clause says, in scikit-learn's words, with the automatic preprocessing behind it."""
    largest = known["amount"].max()

    def shares(frame: pd.DataFrame) -> np.ndarray:
        return np.column_stack([frame["amount"] / largest, frame["visits"].astype(float)])

    def expand(values: np.ndarray) -> np.ndarray:
        # A product of what is missing is missing; PolynomialFeatures itself refuses it.
        is_missing = np.isnan(values)
        expanded = PolynomialFeatures(2, include_bias=False).fit(np.nan_to_num(values))
        products = expanded.transform(np.nan_to_num(values))
        products[(is_missing.astype(float) @ expanded.powers_.T) > 0] = np.nan
        return products

    def hours(frame: pd.DataFrame) -> np.ndarray:
        return frame["requested_at"].dt.hour.to_numpy()[:, None]

    standard = ("standard", StandardScaler())
    poly = [("shares", FunctionTransformer(shares)), ("expand", FunctionTransformer(expand))]
    columns = [
        ("amount", Pipeline([("fill", SimpleImputer(strategy="median")), standard]), ["amount"]),
        ("region", OneHotEncoder(handle_unknown="ignore", drop=[most_frequent(known)]), ["region"]),
        # What is missing is in no statistic, and counts as the mean then.
        ("poly", Pipeline([*poly, standard, ("fill", SimpleImputer())]), ["amount", "visits"]),
        ("hour", Pipeline([("hour", FunctionTransformer(hours)), standard]), ["requested_at"]),
    ]
    return Pipeline([("features", ColumnTransformer(columns)), ("model", estimator)])


def rows_of(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows that the first version was trained on, and the log of all requests."""
    known = pq.read_table(sorted(root.rglob("snapshot.parquet"))[0]).to_pandas()
    log = pd.DataFrame(rows(root, "select * from wml.request_log_churn where version = 1 order by request_id"))
    log["requested_at"] = pd.to_datetime(log["requested_at"])
    assert len(log) > 160
    assert log["visits"].isna().any()
    return known[known["wml_split"] == "train"], log


def test_scores_are_those_of_a_scikit_learn_pipeline(trained: Path) -> None:
    known, log = rows_of(trained)
    oracle = pipeline(known, LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000)).fit(known, known["has_churned"])
    # Both stop where the gradient is small, on features that depend on each other.
    np.testing.assert_allclose(log["score"], oracle.predict_proba(log)[:, 1], atol=2e-3)


def test_a_closed_form_gives_the_same_to_the_last_digits(tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    edit(
        root,
        "models/churn.sql",
        "options (",
        CLAUSE.replace("has_churned\n", "cast(has_churned as integer) as churned\n"),
    )
    edit(root, "models/churn.sql", "['has_churned']", "['churned']")
    edit(root, "models/churn.sql", "'logistic_reg'", "'linear_reg'")
    ok(root, "train", "churn", "--as-of", SPLIT)
    ok(root, "predict", "churn", "--as-of", "2024-02-12")
    known, log = rows_of(root)
    oracle = pipeline(known, Ridge(alpha=1.0)).fit(known, known["churned"])
    np.testing.assert_allclose(log["score"], oracle.predict(log), atol=1e-9)


def most_frequent(known: pd.DataFrame) -> str:
    counts = known["region"].value_counts()
    return min(counts[counts == counts.max()].index)


def test_the_log_holds_the_inputs_and_not_the_outputs(trained: Path) -> None:
    columns = [row["column_name"] for row in rows(trained, "describe wml.request_log_churn")]
    assert columns[11:] == ["amount", "visits", "region"]
    assert columns.count("requested_at") == 1


def test_windows_are_evaluated_and_drift_is_of_the_inputs(trained: Path) -> None:
    found = rows(trained, "select distinct input from wml.drift where kind = 'input' order by input")
    assert [row["input"] for row in found] == ["amount", "region", "visits"]
    measured = rows(trained, "select max(n) as n from wml.metrics where metric = 'roc_auc' and value > 0.5")
    assert measured[0]["n"] == 168


def test_the_champion_is_compared_and_a_category_left_out_is_told(trained: Path) -> None:
    edit(
        trained,
        "models/churn.sql",
        "as hour,",
        "as hour, ml.label_encoder(left(cast(amount as varchar), 2)) over () as l,",
    )
    done = ok(trained, "train", "churn", "--as-of", "2024-02-19")
    assert "on the rows held out: roc_auc" in done.out
    assert '"l" of TRANSFORM: ml.label_encoder(' in done.out + done.err


@pytest.mark.parametrize("model_type", ["boosted_tree_classifier", "random_forest_classifier"])
def test_trees_are_trained_on_the_outputs(tmp_path: Path, model_type: str) -> None:
    root = write_tiny(tmp_path / "tiny")
    edit(root, "models/churn.sql", "options (", CLAUSE.replace("l2_reg = 1.0,", ""))
    edit(root, "models/churn.sql", "'logistic_reg'", f"'{model_type}'")
    edit(root, "models/churn.sql", "'seq',", "'seq', max_tree_depth = 3,")
    ok(root, "train", "churn", "--as-of", SPLIT)
    ok(root, "predict", "churn", "--as-of", "2024-02-12")
    found = rows(root, "select count(*) as n, min(score) as low, max(score) as high from wml.request_log_churn")[0]
    assert found["n"] == 168
    assert 0 <= found["low"] < found["high"] <= 1


def test_label_split_and_weight_may_be_made_by_transform(tmp_path: Path) -> None:
    scores = []
    for name, in_transform in (("query", False), ("clause", True)):
        root = write_tiny(tmp_path / name)
        made = "not has_churned as stays, requested_at + interval 1 day as later, amount + 1 as heavy"
        plain = "requests.requested_at,\n    labels.has_churned"
        if in_transform:
            edit(root, "models/churn.sql", "options (", f"transform (amount, visits, region, {made})\noptions (")
        else:
            edit(root, "models/churn.sql", plain, made)
        edit(root, "models/churn.sql", "['has_churned']", "['stays'], instance_weight_col = 'heavy', l2_reg = 1.0")
        edit(root, "models/churn.sql", "data_split_col = 'requested_at'", "data_split_col = 'later'")
        done = ok(root, "train", "churn", "--as-of", SPLIT)
        assert "true" in done.out
        ok(root, "predict", "churn", "--as-of", "2024-02-12")
        scores.append(
            [row["score"] for row in rows(root, "select score from wml.request_log_churn order by request_id")]
        )
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


@pytest.mark.parametrize(
    ("clause", "says"),
    [
        (
            "transform (amount, visits, ml.label_encoder(region, 9, 0) over () > 1 as has_churned)",
            'the label "has_churned" of TRANSFORM needs statistics of other rows',
        ),
        (
            "transform (amount, requested_at + interval 1 day as requested_at, hour(requested_at) as h, has_churned)",
            'the split column "requested_at" of TRANSFORM is called as a column that a feature reads',
        ),
        ("transform (amount, cast(region as boolean) as has_churned)", '"has_churned" of TRANSFORM fails on a row'),
        ("transform (*, amount > 50 as big)", "TRANSFORM"),
    ],
)
def test_what_transform_makes_of_label_and_split_is_checked(tiny: Path, clause: str, says: str) -> None:
    edit(tiny, "models/churn.sql", "options (", f"{clause}\noptions (")
    if says == "TRANSFORM":
        # The star holds label and split column, which are no features.
        ok(tiny, "train", "churn", "--as-of", SPLIT)
        return
    done = wml(tiny, "train", "churn", "--as-of", SPLIT)
    assert done.code == 2
    assert says in done.err
    assert "models/churn.sql" in done.err


def test_a_disguised_label_is_found_among_the_inputs(tiny: Path) -> None:
    edit(
        tiny,
        "models/churn.sql",
        "    labels.has_churned\n",
        "    labels.has_churned,\n    not labels.has_churned as stays\n",
    )
    edit(
        tiny,
        "models/churn.sql",
        "options (",
        "transform (amount, case when stays then 1 else 2 end as s, has_churned)\noptions (",
    )
    done = wml(tiny, "train", "churn", "--as-of", SPLIT)
    assert done.code == 2
    assert 'the feature "stays" gives the label "has_churned" away' in done.err


def test_requests_without_an_input_are_refused(trained: Path, tmp_path: Path) -> None:
    root = write_tiny(tmp_path / "tiny")
    edit(root, "models/churn.sql", "options (", CLAUSE)
    ok(root, "train", "churn", "--as-of", SPLIT)
    edit(root, "sql/requests/churn_requests.sql", "    events.visits,\n", "")
    edit(root, "models/churn.sql", "    requests.visits,\n", "")
    edit(root, "models/churn.sql", ", visits)", ")")
    done = wml(root, "predict", "churn", "--as-of", "2024-02-12")
    assert done.code == 2
    assert 'no column "visits", which churn@1 was trained on' in done.err
