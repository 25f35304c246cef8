"""Group metrics, disparities and impact ratios that others published, from the counts they gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from .conftest import metrics_of
from .test_disparities import disparities_of

# ProPublica's analysis of COMPAS, Broward County, two years: called low and high risk, of those who did not reoffend
# and of those who did.
COMPAS = {"African-American": (990, 805, 532, 1369), "Caucasian": (1139, 349, 461, 505)}
# What ProPublica (in percent) and Aequitas report of these.
PUBLISHED = {
    "false_positive_rate": {"African-American": 0.4485, "Caucasian": 0.2345},
    "false_negative_rate": {"African-American": 0.2799, "Caucasian": 0.4772},
    "false_discovery_rate": {"African-American": 0.3703, "Caucasian": 0.4087},
    "precision": {"African-American": 0.63, "Caucasian": 0.59},
    "npv": {"African-American": 0.65, "Caucasian": 0.71},
}
DISPARITIES = {"false_positive_rate": 1.912, "false_negative_rate": 0.586, "false_discovery_rate": 0.906}
TAU = 0.8


def compas() -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {"prediction": [], "label": [], "race": []}
    for race, counts in COMPAS.items():
        for (label, prediction), n in zip(((0, 0), (0, 1), (1, 0), (1, 1)), counts, strict=True):
            rows["label"] += [label] * n
            rows["prediction"] += [prediction] * n
            rows["race"] += [race] * n
    return rows


def test_compas_has_the_rates_and_disparities_that_aequitas_reports(run, warehouse):
    run(compas(), slices=["race"], reference={"race": "Caucasian"})
    found = metrics_of(warehouse, "race")
    for metric, values in PUBLISHED.items():
        for race, value in values.items():
            digits = 2 if metric in ("precision", "npv") else 4
            assert round(found[race][metric]["value"], digits) == value, (metric, race)
    verdicts = {}
    for metric, want in DISPARITIES.items():
        rows = disparities_of(warehouse, "race", metric)
        assert {row["reference_slice"] for row in rows.values()} == {"Caucasian"}
        assert rows["Caucasian"]["disparity"] == 1
        disparity = rows["African-American"]["disparity"]
        assert round(disparity, 3) == want
        verdicts[metric] = TAU <= disparity <= 1 / TAU
    # Calibrated by false discoveries, and neither by false positives nor by false negatives.
    assert verdicts == {"false_positive_rate": False, "false_negative_rate": False, "false_discovery_rate": True}


def test_the_majority_is_the_larger_group(run, warehouse):
    run(compas(), slices=["race"], reference="majority")
    rows = disparities_of(warehouse, "race", "false_positive_rate")
    assert rows["Caucasian"]["reference_slice"] == "African-American"
    assert rows["Caucasian"]["disparity"] == pytest.approx((349 / 1488) / (805 / 1795))
    run(compas(), slices=["race"], reference="best", name="best")
    rows = disparities_of(warehouse, "race", "false_positive_rate")
    assert {row["reference_slice"] for row in rows.values() if row["evaluation"] == "best"} == {"Caucasian"}


# The sample tables in New York City's rule on automated employment decision tools (6 RCNY 5-301): applicants, selected,
# and the impact ratio.
SEX = {"male": (1390, 667, "1.000"), "female": (1181, 555, "0.979")}
RACE = {
    "Hispanic or Latino": (408, 204, "0.97"),
    "White": (797, 412, "1.00"),
    "Black or African American": (390, 170, "0.84"),
    "Native Hawaiian or Pacific Islander": (119, 52, "0.85"),
    "Asian": (616, 302, "0.95"),
    "Native American or Alaska Native": (41, 18, "0.85"),
    "Two or more races": (213, 96, "0.87"),
}
BOTH = {
    "male, Hispanic or Latino": (205, 90, "0.841"),
    "female, Hispanic or Latino": (190, 82, "0.827"),
    "male, White": (412, 215, "1.000"),
    "male, Black or African American": (226, 95, "0.806"),
    "male, Native Hawaiian or Pacific Islander": (87, 37, "0.815"),
    "male, Asian": (321, 167, "0.997"),
    "male, Native American or Alaska Native": (24, 11, "0.878"),
    "male, Two or more races": (101, 51, "0.968"),
    "female, White": (385, 197, "0.981"),
    "female, Black or African American": (164, 75, "0.876"),
    "female, Native Hawaiian or Pacific Islander": (32, 15, "0.898"),
    "female, Asian": (295, 135, "0.877"),
    "female, Native American or Alaska Native": (17, 7, "0.789"),
    "female, Two or more races": (112, 45, "0.770"),
}


@pytest.mark.parametrize(
    ("columns", "counts"), [(("sex",), SEX), (("race",), RACE), (("sex", "race"), BOTH)], ids=["sex", "race", "both"]
)
def test_impact_ratios_are_those_of_local_law_144(
    run: Any, warehouse: Any, columns: tuple[str, ...], counts: Mapping[str, tuple[int, int, str]]
) -> None:
    rows: dict[str, list[Any]] = {name: [] for name in ("prediction", "label", *columns)}
    for group, (applicants, selected, _) in counts.items():
        rows["prediction"] += [1] * selected + [0] * (applicants - selected)
        # Whether they were any good at the job is not known, and not asked.
        rows["label"] += [0] * applicants
        for name, value in zip(columns, group.split(", ", 1), strict=True):
            rows[name] += [value] * applicants
    run(rows, slices=[list(columns)], min_slice_size=0)
    found = disparities_of(warehouse, ", ".join(columns), "selection_rate")
    assert found.keys() == counts.keys()
    for group, (applicants, selected, ratio) in counts.items():
        assert found[group]["n"] == applicants
        assert found[group]["value"] == pytest.approx(selected / applicants)
        assert f"{found[group]['ratio_to_highest']:.{len(ratio) - 2}f}" == ratio
