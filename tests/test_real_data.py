"""Real data end to end, by the command line: predictions of anybody's, metric by metric as scikit-learn has them.

The flights of the example, as a regression and as three outcomes, and the data sets that come with scikit-learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import fairlearn.metrics as fl
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets, linear_model, model_selection, naive_bayes
from sklearn import metrics as sk

from warehouse_ml.example import __file__ as example_file

from .evaluation.test_binary import oracle
from .evaluation.test_other_tasks import multiclass_oracle, regression_oracle
from .test_docs import blocks_of, difference
from .wml import ok, rows

FLIGHTS = Path(example_file).parent / "data" / "flights.parquet"
AS_OF = "2013-07-01"


@dataclass(frozen=True)
class Case:
    """An evaluation over rows that anybody predicted."""

    name: str
    task: str
    predicted: pd.DataFrame
    slices: list[list[str]]
    config: Mapping[str, Any] = field(default_factory=dict)


def digits() -> Case:
    """Ten classes of handwritten digits; slices by how much ink there is."""
    x, y = datasets.load_digits(return_X_y=True)
    predicted = model_selection.cross_val_predict(naive_bayes.GaussianNB(), x, y, cv=3)
    ink = pd.qcut(x.sum(axis=1), 3, labels=["thin", "middling", "bold"]).astype(str)
    frame = pd.DataFrame({"prediction": predicted.astype(str), "label": y.astype(str), "ink": ink})
    return Case("digits", "multiclass", frame, [["ink"]])


def diabetes() -> Case:
    """How far a disease goes in a year; slices by sex and by age."""
    data = datasets.load_diabetes(as_frame=True, scaled=False)
    predicted = model_selection.cross_val_predict(linear_model.LinearRegression(), data.data, data.target, cv=5)
    frame = pd.DataFrame({"score": predicted, "label": data.target, "sex": data.data["sex"].map({1.0: "1", 2.0: "2"})})
    frame["age"] = np.where(data.data["age"] < 50, "below 50", "50 and more")
    return Case("diabetes", "regression", frame, [["sex"], ["sex", "age"]])


def breast_cancer() -> Case:
    """Two classes; slices by the size of what was found."""
    data = datasets.load_breast_cancer(as_frame=True)
    model = naive_bayes.GaussianNB()
    score = model_selection.cross_val_predict(model, data.data, data.target, cv=5, method="predict_proba")[:, 1]
    frame = pd.DataFrame({"score": score, "label": data.target})
    frame["size"] = pd.qcut(data.data["mean radius"], 3, labels=["small", "middle", "large"]).astype(str)
    # Weights as of a sample that was drawn by size.
    frame["sample_weight"] = frame["size"].map({"small": 1.0, "middle": 2.0, "large": 0.5})
    return Case("breast_cancer", "binary", frame, [["size"]], {"thresholds": [0.9]})


def arrival_minutes() -> Case:
    """Minutes late on arrival, told by those late on departure, over a month; of some no arrival is known."""
    frame = duckdb.sql(
        "select cast(dep_delay as double) as score, cast(arr_delay as double) as label, origin, carrier "
        f"from '{FLIGHTS}' where departure_date between '2013-02-01' and '2013-02-28' and dep_delay is not null"
    ).df()
    return Case("arrival_minutes", "regression", frame, [["origin"], ["origin", "carrier"]])


CASES: dict[str, Callable[[], Case]] = {
    "digits": digits,
    "diabetes": diabetes,
    "breast_cancer": breast_cancer,
    "arrival_minutes": arrival_minutes,
}


@dataclass(frozen=True)
class Evaluated:
    folder: Path
    cases: dict[str, Case]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    folder = tmp_path_factory.mktemp("real")
    (folder / "sql" / "evaluation").mkdir(parents=True)
    cases = {name: case() for name, case in CASES.items()}
    sources = [f'flights = "{FLIGHTS}"', *(f'{name} = "{name}.parquet"' for name in cases)]
    (folder / "wml.toml").write_text(
        '[project]\nname = "real"\n\n[targets.duckdb]\npath = "real.duckdb"\n\n[sources]\n' + "\n".join(sources) + "\n"
    )
    for name, case in cases.items():
        frame = case.predicted.assign(request_id=[f"{name} {i}" for i in range(len(case.predicted))])
        frame["requested_at"] = pd.Timestamp("2013-03-01", tz="UTC")
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.sql(f"copy frame to '{folder / name}.parquet'")
        said = {"task": case.task, "slices": case.slices, "min_slice_size": 0, **case.config}
        arguments = ", ".join(f"{key}={value!r}" for key, value in said.items())
        text = f"{{{{ config({arguments}) }}}}\nselect predicted.* from {{{{ source('{name}') }}}} as predicted\n"
        (folder / "sql" / "evaluation" / f"{name}.sql").write_text(text)
    ok(folder, "evaluate", *cases, "--as-of", AS_OF)
    return Evaluated(folder, cases)


def slices_of(case: Case) -> Iterator[tuple[str, str, pd.DataFrame]]:
    known = case.predicted.dropna(subset=["label"])
    yield "overall", "all", known
    for key in case.slices:
        for value, part in known.groupby(key, sort=True):
            yield ", ".join(key), ", ".join(map(str, value)), part


def wanted(case: Case, part: pd.DataFrame) -> dict[str, float]:
    weight = part["sample_weight"].to_numpy() if "sample_weight" in part else None
    label = part["label"].to_numpy()
    if case.task == "multiclass":
        prediction = part["prediction"].to_numpy()
        found = multiclass_oracle(label, prediction, weight)
        names = np.unique([*label, *prediction])
        for rate, values in zip(
            ("precision", "recall", "f1"),
            sk.precision_recall_fscore_support(label, prediction, labels=names, zero_division=np.nan),
            strict=False,
        ):
            found |= {f"{rate}[{name}]": value for name, value in zip(names, values, strict=True)}
        # A rate over no rows is null, not 0; of F1, nobody has the class and nobody is called it.
        return {name: value for name, value in found.items() if not np.isnan(value)}
    if case.task == "regression":
        return regression_oracle(label, part["score"].to_numpy(), weight)
    score = part["score"].to_numpy()
    found = oracle(label.astype(bool), score, weight)
    # A model that is sure and wrong: the logarithm of 0 is taken of 1e-15, here and in scikit-learn up to 1.2.
    found["log_loss"] = sk.log_loss(label, np.clip(score, 1e-15, 1 - 1e-15), sample_weight=weight)
    at = score >= 0.9
    found["recall@0.9"] = sk.recall_score(label, at, sample_weight=weight)
    found["selection_rate@0.9"] = float(np.average(at, weights=weight))
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_metric_of_every_slice_is_scikit_learns(evaluated, name):
    case = evaluated.cases[name]
    values: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows(
        evaluated.folder,
        f"select slice_key, slice_value, metric, value from wml.latest_metrics where evaluation = '{name}' "
        "and value is not null",
    ):
        values.setdefault((row["slice_key"], row["slice_value"]), {})[row["metric"]] = row["value"]
    checked = 0
    for key, value, part in slices_of(case):
        found = values.pop((key, value))
        want = wanted(case, part)
        if len(part) == 1:
            want.pop("r2_score", None)
            want.pop("explained_variance", None)
        assert {metric: found.get(metric) for metric in want} == pytest.approx(want, rel=1e-9, abs=1e-9)
        requests = case.predicted
        for column, own in zip(key.split(", "), value.split(", "), strict=True) if key != "overall" else ():
            requests = requests[requests[column] == own]
        assert (found["n_requests"], found["n_labelled"]) == (len(requests), len(part))
        checked += len(want)
    assert not [key for key, found in values.items() if found["n_labelled"]]
    assert checked > 20


def differences(evaluated: Evaluated, name: str, key: str) -> dict[tuple[str, str], float]:
    found = rows(
        evaluated.folder,
        f"select metric, aggregate, value from wml.latest_fairness where evaluation = '{name}' and slice_key = '{key}'",
    )
    return {(row["metric"], row["aggregate"]): row["value"] for row in found}


@pytest.mark.parametrize(
    ("name", "key", "functions"),
    [
        ("digits", "ink", {"accuracy": sk.accuracy_score, "balanced_accuracy": sk.balanced_accuracy_score}),
        ("diabetes", "sex", {"mean_absolute_error": sk.mean_absolute_error}),
        (
            "breast_cancer",
            "size",
            {"selection_rate": fl.selection_rate, "recall": sk.recall_score, "accuracy": sk.accuracy_score},
        ),
        ("arrival_minutes", "origin", {"mean_absolute_error": sk.mean_absolute_error}),
    ],
)
def test_gaps_between_groups_are_fairlearns(evaluated, name, key, functions):
    case = evaluated.cases[name]
    known = case.predicted.dropna(subset=["label"])
    said = known["score"] >= 0.5 if case.task == "binary" else known.get("prediction", known.get("score"))
    label = known["label"].astype(int) if case.task == "binary" else known["label"]
    weight = {"sample_weight": known["sample_weight"]} if "sample_weight" in known else {}
    frame = fl.MetricFrame(
        metrics=functions,
        y_true=label,
        y_pred=said.astype(int) if case.task == "binary" else said,
        sensitive_features=known[key],
        sample_params=dict.fromkeys(functions, weight),
    )
    found = differences(evaluated, name, key)
    for metric in functions:
        for aggregate, want in {
            "difference": frame.difference(method="between_groups")[metric],
            "ratio": frame.ratio(method="between_groups")[metric],
            "difference_to_overall": frame.difference(method="to_overall")[metric],
            "ratio_to_overall": frame.ratio(method="to_overall")[metric],
        }.items():
            assert found[metric, aggregate] == pytest.approx(want, rel=1e-9), (metric, aggregate)


def recipe() -> list[Any]:
    """The blocks of the recipe in the documentation: the file, the command and the question."""
    blocks = blocks_of("docs/evaluation.md")
    start = next(i for i, b in enumerate(blocks) if b.language == "jinja" and "dep_delay" in b.text)
    return blocks[start : start + 4]


def test_the_recipe_of_the_documentation_is_true(evaluated):
    file, command, question, answer = recipe()
    folder = evaluated.folder
    (folder / "sql" / "evaluation" / "as_it_leaves.sql").write_text(file.text + "\n")
    ok(folder, *command.text.split()[1:])
    printed = "\n".join(line.rstrip() for line in ok(folder, "query", question.text).out.rstrip().split("\n"))
    assert difference(answer.text, printed) is None, printed
    flights = duckdb.sql(
        "select arr_delay, dep_delay, origin from "
        f"'{FLIGHTS}' where departed_at >= '2013-04-01 00:00+00' and departed_at < '2013-07-01 00:00+00' "
        f"and arrived_at <= '{AS_OF} 00:00+00'"
        " and arr_delay is not null"
    ).df()
    kinds = {
        name: np.where(flights[name] < -5, "early", np.where(flights[name] < 15, "on time", "late"))
        for name in ("arr_delay", "dep_delay")
    }
    found = rows(
        folder, "select slice_value, metric, value from wml.resliced('as_it_leaves', [], since := '2013-04-01')"
    )
    values = {row["metric"]: row["value"] for row in found}
    want = multiclass_oracle(kinds["arr_delay"], kinds["dep_delay"], None)
    assert {name: values[name] for name in want} == pytest.approx(want, rel=1e-9)
    by_origin = rows(
        folder,
        "select slice_value, value from wml.resliced('as_it_leaves', ['origin'], since := '2013-04-01') "
        "where metric = 'accuracy'",
    )
    right = kinds["arr_delay"] == kinds["dep_delay"]
    assert {row["slice_value"]: row["value"] for row in by_origin} == pytest.approx(
        pd.Series(right).groupby(flights["origin"]).mean().to_dict(), rel=1e-9
    )
