"""The settings of an evaluation, and what is said of wrong ones."""

from __future__ import annotations

import pytest

from warehouse_ml.errors import DefinitionError
from warehouse_ml.evaluation import EvaluationSpec

from .conftest import make_spec


def test_defaults():
    spec = make_spec(materialized="view", tags=["weekly"], description="how late")
    assert spec == EvaluationSpec("late", "sql/evaluation/late.sql", "d1")
    assert (spec.task, spec.threshold, spec.window, spec.min_slice_size) == ("binary", 0.5, "all", 30)


def test_everything_set():
    spec = make_spec(
        model="late_arrival",
        task="regression",
        threshold=0.4,
        slices=["origin", ["origin", "carrier"]],
        window="week",
        maturity="2 days",
        min_slice_size=10,
        reference={"origin, carrier": "JFK, UA"},
    )
    assert spec.slices == (("origin",), ("origin", "carrier"))
    assert spec.slice_columns == ["origin", "carrier"]
    assert spec.maturity_seconds == 172800


def test_a_control_adds_the_slices_that_are_compared_within_it():
    spec = make_spec(slices=["origin", ["carrier", "plane"]], control=["carrier", ["plane", "carrier"]])
    want = [("origin",), ("carrier", "plane"), ("carrier",), ("origin", "carrier"), ("origin", "plane", "carrier")]
    assert spec.groupings == want
    assert spec.slice_columns == ["origin", "carrier", "plane"]


def test_one_word_is_the_reference_of_every_slice():
    spec = make_spec(slices=["origin", ["origin", "carrier"]], reference="best")
    assert spec.reference == {"origin": "best", "origin, carrier": "best"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"treshold": 0.5}, 'no setting "treshold"\n  has:  model, task, threshold'),
        ({"treshold": 0.5}, 'hint: did you mean "threshold"?'),
        (
            {"task": "binry"},
            "task is 'binry'\n  has:  binary, multiclass, regression\n  hint: did you mean \"binary\"?",
        ),
        ({"window": "year"}, "window is 'year'\n  has:  all, day, week, month"),
        ({"threshold": 1.5}, "threshold is 1.5\n  hint: give a number from 0 to 1"),
        ({"threshold": True}, "threshold is True"),
        ({"min_slice_size": -1}, "min_slice_size is -1"),
        ({"maturity": "two days"}, "maturity is 'two days'"),
        ({"maturity": 2}, "maturity is 2"),
        ({"slices": "origin"}, "slices is 'origin'\n  hint: give names of columns"),
        ({"slices": [["origin", "origin"]]}, "a slice is ['origin', 'origin']"),
        ({"slices": [[]]}, "a slice is []"),
        ({"slices": [3]}, "a slice is 3"),
        ({"slices": [["a", "b"], ["b", "a"]]}, "the slice ['b', 'a'] is given twice"),
        ({"reference": {"orign": "JFK"}, "slices": ["origin"]}, 'reference names "orign", which is no slice'),
        ({"reference": "JFK"}, "reference is 'JFK'\n  has:  majority, best"),
        ({"control": ["carrier"]}, "control is set and slices is not"),
        ({"control": "carrier", "slices": ["a"]}, "control is 'carrier'\n  hint: give names of columns"),
        ({"control": [["b", "b"]], "slices": ["a"]}, "a control is ['b', 'b']"),
        ({"model": 3}, "model is 3"),
    ],
)
def test_wrong_settings_name_the_place_and_the_fix(config, message):
    with pytest.raises(DefinitionError) as error:
        make_spec(**config)
    assert str(error.value).startswith("sql/evaluation/late.sql: ")
    assert message in str(error.value)
