"""Attributions against Shapley's own formula: every coalition of features, written out."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse_ml.errors import ArtifactError
from warehouse_ml.options import resolve_options
from warehouse_ml.scoring import FittedFeature, Parameters, Trees
from warehouse_ml.scoring.arrays import raw_values
from warehouse_ml.scoring.explain import Explainer, explain
from warehouse_ml.training.estimators import Sample, fit_boosting, fit_forest, fit_linear


def shapley(value, n_features):
    """Return Shapley's values of a game: value takes a set of features and returns an array, one entry an output."""
    games = {
        coalition: value(frozenset(coalition))
        for size in range(n_features + 1)
        for coalition in combinations(range(n_features), size)
    }
    result = []
    for feature in range(n_features):
        others = [f for f in range(n_features) if f != feature]
        total = 0.0
        for size in range(n_features):
            weight = math.factorial(size) * math.factorial(n_features - size - 1) / math.factorial(n_features)
            for coalition in combinations(others, size):
                total += weight * (games[tuple(sorted((*coalition, feature)))] - games[coalition])
        result.append(total)
    return np.array(result).T


def expected_value(parameters, row, known):
    """Return what the trees say of a row of which only some features are known: the definition, by recursion."""
    trees = parameters.trees
    total = np.array(trees.baselines)
    for tree in range(trees.n_trees):
        root = trees.offsets[tree]

        def of(number, root=root):
            node = root + number
            feature = trees.feature[node]
            if feature < 0:
                return trees.value[node]
            left, right = trees.left[node], trees.right[node]
            if feature in known:
                x = row[feature]
                is_left = trees.is_missing_left[node] if math.isnan(x) else x <= trees.threshold[node]
                return of(left if is_left else right)
            a, b = trees.cover[root + left], trees.cover[root + right]
            return (a * of(left) + b * of(right)) / (a + b)

        outputs = slice(None) if trees.output[tree] < 0 else slice(trees.output[tree], trees.output[tree] + 1)
        total[outputs] += of(0)
    return total / trees.n_trees if parameters.is_forest else total


def check_against_definition(parameters, encoded):
    found = explain(parameters, encoded)
    n_features = len(parameters.features)
    assert found.values.shape == (len(encoded), parameters.n_outputs, n_features)
    scale = max(1.0, float(np.abs(parameters.trees.value).max()))
    for row, values in zip(encoded, found.values, strict=True):
        expected = shapley(lambda known, row=row: expected_value(parameters, row, known), n_features)
        np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12 * scale * parameters.trees.n_trees)
    np.testing.assert_allclose(
        found.baseline, expected_value(parameters, None, frozenset()), rtol=1e-12, atol=1e-12 * scale
    )
    np.testing.assert_array_equal(found.prediction, raw_values(parameters, encoded))


def check_sums(parameters, encoded):
    found = explain(parameters, encoded)
    total = found.baseline + found.values.sum(axis=2)
    scale = np.maximum(1.0, np.abs(found.prediction))
    assert (np.abs(total - found.prediction) / scale).max() <= 1e-9


def shape(model_type, task, n_features, encoding="double"):
    classes = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}[task]
    features = tuple(FittedFeature(f"f{i}", "number", encoding, 0.0, 1.0) for i in range(n_features))
    return Parameters(model_type, task, "y", "VARCHAR", classes, features)


def rows(n, p, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)).round(1)
    x[rng.random((n, p)) < 0.15] = np.nan
    filled = np.nan_to_num(x, nan=0.7)
    raw = filled[:, 0] * filled[:, 1] + filled[:, 2] + (filled[:, 1] > 0.5) * filled[:, 0] + rng.normal(size=n) * 0.2
    return x, raw


def labels(raw, task):
    if task == "regression":
        return raw
    cuts = [0.0] if task == "binary" else [-0.5, 0.8]
    return np.digitize(raw, cuts).astype(np.int64)


TREES = [
    ("BOOSTED_TREE_REGRESSOR", "regression"),
    ("BOOSTED_TREE_CLASSIFIER", "binary"),
    ("BOOSTED_TREE_CLASSIFIER", "multiclass"),
    ("RANDOM_FOREST_REGRESSOR", "regression"),
    ("RANDOM_FOREST_CLASSIFIER", "binary"),
    ("RANDOM_FOREST_CLASSIFIER", "multiclass"),
]


def grown(model_type, task, n=300, p=5, weighted=False, **options):
    x, raw = rows(n, p)
    weight = np.random.default_rng(5).integers(0, 4, n).astype(float) if weighted else None
    sample = Sample(x, labels(raw, task), weight)
    fit = fit_forest if model_type.startswith("RANDOM") else fit_boosting
    fitted = fit(shape(model_type, task, p), resolve_options(model_type, options), sample, None)
    return fitted.parameters, x


@pytest.mark.parametrize(("model_type", "task"), TREES)
@pytest.mark.parametrize("weighted", [False, True])
def test_grown_trees_are_explained_as_defined(model_type, task, weighted):
    size = {"NUM_PARALLEL_TREE": 3} if model_type.startswith("RANDOM") else {"MAX_ITERATIONS": 3}
    parameters, x = grown(model_type, task, weighted=weighted, **size)
    strange = np.array([[np.nan] * 5, [np.inf] * 5, [-1e300] * 5])
    check_against_definition(parameters, np.concatenate([x[:5], strange]))
    check_sums(parameters, x)


@pytest.mark.parametrize(("model_type", "task"), TREES)
def test_baseline_is_the_mean_of_the_training_rows(model_type, task):
    if model_type.startswith("RANDOM"):
        # Each tree's rows are its own draw: their mean is that of the draws.
        parameters, x = grown(model_type, task, NUM_PARALLEL_TREE=200, MAX_TREE_DEPTH=4)
        tolerance = 0.05
    else:
        parameters, x = grown(model_type, task)
        tolerance = 1e-12
    np.testing.assert_allclose(Explainer(parameters).baseline, raw_values(parameters, x).mean(axis=0), atol=tolerance)


@pytest.mark.parametrize(("model_type", "task"), TREES)
def test_cover_and_gain_are_scikit_learns(model_type, task, monkeypatch):
    kept = []
    module = "warehouse_ml.training.estimators"
    from warehouse_ml.training import estimators

    for name in ("boosted_trees", "forest_trees"):
        original = getattr(estimators, name)
        monkeypatch.setattr(f"{module}.{name}", lambda e, *a, f=original: (kept.append(e), f(e, *a))[1])
    size = {"NUM_PARALLEL_TREE": 4} if model_type.startswith("RANDOM") else {"MAX_ITERATIONS": 4}
    parameters, x = grown(model_type, task, **size)
    trees = parameters.trees
    splits = trees.feature >= 0
    root = trees.offsets[trees.tree]
    children = trees.cover[(root + trees.left)[splits]] + trees.cover[(root + trees.right)[splits]]
    np.testing.assert_allclose(trees.cover[splits], children, rtol=1e-12)
    assert (trees.gain[splits] > -1e-9).all()
    assert (trees.gain[~splits] == 0).all()
    if parameters.is_forest:
        assert set(trees.cover[trees.offsets[:-1]]) == {240.0}
        importances = np.zeros(len(parameters.features))
        for tree in range(trees.n_trees):
            part = slice(*trees.offsets[tree : tree + 2])
            used = splits[part]
            by_feature = np.bincount(trees.feature[part][used], trees.gain[part][used], len(importances))
            importances += by_feature / by_feature.sum()
        np.testing.assert_allclose(importances / importances.sum(), kept[0].feature_importances_, rtol=1e-9)
    else:
        # Rows walked down one by one are counted again.
        counts = np.zeros(len(splits))
        for row in x:
            for start in trees.offsets[:-1]:
                node = start
                counts[node] += 1
                while splits[node]:
                    value = row[trees.feature[node]]
                    left = trees.is_missing_left[node] if math.isnan(value) else value <= trees.threshold[node]
                    node = start + (trees.left if left else trees.right)[node]
                    counts[node] += 1
        np.testing.assert_array_equal(trees.cover, counts)
        assert (trees.gain[splits] > 0).all()


@st.composite
def random_models(draw):
    """Return trees that no grower would make: any shape, repeated features, shares of any size."""
    n_features = draw(st.integers(1, 5))
    task = draw(st.sampled_from(["regression", "binary", "multiclass"]))
    is_forest = draw(st.booleans())
    kind = "RANDOM_FOREST_CLASSIFIER" if is_forest else "BOOSTED_TREE_CLASSIFIER"
    parameters = shape(kind, task, n_features)
    n_values = parameters.n_outputs if is_forest else 1
    fields = {name: [] for name in ("tree", "node", "feature", "threshold", "miss", "left", "right", "value", "cover")}
    outputs = []
    for tree in range(draw(st.integers(1, 3))):
        outputs.append(-1 if n_values > 1 else draw(st.integers(0, parameters.n_outputs - 1)))
        nodes = []

        def grow(depth, cover, nodes=nodes):
            number = len(nodes)
            nodes.append(None)
            if depth == 0 or draw(st.integers(0, 4)) == 0:
                value = draw(st.lists(st.integers(-9, 9), min_size=n_values, max_size=n_values))
                nodes[number] = (-1, 0.0, False, -1, -1, [float(v) for v in value], cover)
                return number
            share = draw(st.sampled_from([0.5, 0.25, 0.01, 0.999, 1e-6]))
            feature, threshold = draw(st.integers(0, n_features - 1)), float(draw(st.integers(-2, 2)))
            left = grow(depth - 1, cover * share)
            right = grow(depth - 1, cover * (1 - share))
            nodes[number] = (feature, threshold, draw(st.booleans()), left, right, [0.0] * n_values, cover)
            return number

        grow(draw(st.integers(0, 5)), 1000.0)
        for number, node in enumerate(nodes):
            for name, entry in zip(fields, (tree, number, *node), strict=True):
                fields[name].append(entry)
    trees = Trees(
        baselines=tuple(float(draw(st.integers(-3, 3))) for _ in range(parameters.n_outputs)),
        tree=np.array(fields["tree"], np.int32),
        node=np.array(fields["node"], np.int32),
        feature=np.array(fields["feature"], np.int32),
        threshold=np.array(fields["threshold"]),
        is_missing_left=np.array(fields["miss"]),
        left=np.array(fields["left"], np.int32),
        right=np.array(fields["right"], np.int32),
        value=np.array(fields["value"]).reshape(-1, n_values),
        output=np.array(outputs, np.int32),
        cover=np.array(fields["cover"]),
        gain=np.zeros(len(fields["cover"])),
    )
    value = st.one_of(st.sampled_from([-2.0, 0.0, 1.0, np.nan]), st.floats(-3, 3))
    row = st.lists(value, min_size=n_features, max_size=n_features)
    encoded = np.array(draw(st.lists(row, min_size=1, max_size=3)))
    return replace(parameters, trees=trees), encoded


@given(random_models())
def test_any_trees_are_explained_as_defined(model):
    parameters, encoded = model
    check_against_definition(parameters, encoded)
    check_sums(parameters, encoded)
    found = explain(parameters, encoded)
    unused = sorted(set(range(len(parameters.features))) - set(parameters.trees.feature.tolist()))
    assert not found.values[:, :, unused].any()


@given(random_models(), st.randoms(use_true_random=False))
def test_renaming_the_features_renames_the_attributions(model, random):
    parameters, encoded = model
    order = list(range(len(parameters.features)))
    random.shuffle(order)
    trees = parameters.trees
    renamed = np.where(trees.feature < 0, -1, np.array(order)[trees.feature])
    other = replace(parameters, trees=replace(trees, feature=renamed.astype(np.int32)))
    found = explain(parameters, encoded).values
    encoded_again = np.empty_like(encoded)
    encoded_again[:, order] = encoded
    np.testing.assert_allclose(explain(other, encoded_again).values[:, :, order], found, rtol=1e-12, atol=1e-12)


def test_features_of_equal_parts_share_equally():
    # x0 and x1 both at most 0, each of which half of the rows are: their "and" is worth 8.
    trees = Trees(
        baselines=(0.0,),
        tree=np.zeros(5, np.int32),
        node=np.arange(5, dtype=np.int32),
        feature=np.array([0, 1, -1, -1, -1], np.int32),
        threshold=np.zeros(5),
        is_missing_left=np.zeros(5, bool),
        left=np.array([1, 2, -1, -1, -1], np.int32),
        right=np.array([4, 3, -1, -1, -1], np.int32),
        value=np.array([[0.0], [0.0], [8.0], [0.0], [0.0]]),
        output=np.zeros(1, np.int32),
        cover=np.array([4.0, 2.0, 1.0, 1.0, 2.0]),
        gain=np.zeros(5),
    )
    parameters = replace(shape("BOOSTED_TREE_REGRESSOR", "regression", 3), trees=trees)
    found = explain(parameters, np.array([[-1.0, -1, 5], [1, -1, 5], [-1, 1, 5], [1, 1, 5]]))
    assert found.baseline.tolist() == [2.0]
    by_hand = [[3, 3, 0], [-3, 1, 0], [1, -3, 0], [-1, -1, 0]]
    np.testing.assert_allclose(found.values[:, 0], by_hand, atol=1e-14)


def test_deep_paths_with_many_features_add_up():
    parameters, x = grown(
        "RANDOM_FOREST_REGRESSOR",
        "regression",
        n=2000,
        p=40,
        NUM_PARALLEL_TREE=3,
        MAX_TREE_DEPTH=64,
        COLSAMPLE_BYNODE=0.05,
    )
    check_sums(parameters, x[:200])


def test_blocks_of_rows_change_nothing(monkeypatch):
    parameters, x = grown("BOOSTED_TREE_CLASSIFIER", "multiclass", n=700)
    whole = explain(parameters, x).values
    monkeypatch.setattr("warehouse_ml.scoring.explain._BLOCK_NUMBERS", 1)
    monkeypatch.setattr("warehouse_ml.scoring.explain._FEWEST_ROWS", 64)
    np.testing.assert_allclose(explain(parameters, x).values, whole, rtol=1e-12, atol=1e-14)
    assert explain(parameters, x[:0]).values.shape == (0, 3, 5)
    assert explain(parameters, x[:0]).prediction.shape == (0, 3)


LINEAR = [("LINEAR_REG", "regression"), ("LOGISTIC_REG", "binary"), ("LOGISTIC_REG", "multiclass")]


def linear(model_type, task, weighted, n=120, **options):
    rng = np.random.default_rng(3)
    features = (
        FittedFeature("a", "number", "standard", 0.0, 1.0),
        FittedFeature("b", "number", "standard", 0.0, 1.0),
        FittedFeature("c", "category", "one_hot", categories=("x", "y", "z"), has_null=True, reference=0),
    )
    x = np.column_stack([rng.normal(size=(n, 2)), rng.integers(1, 5, n)])
    raw = x[:, 0] - 2 * x[:, 1] + (x[:, 2] == 2) + rng.normal(size=n) * 0.3
    weight = rng.integers(0, 4, n).astype(float) if weighted else None
    sample = Sample(x, labels(raw, task), weight)
    parameters = replace(shape(model_type, task, 3, "standard"), features=features)
    fitted = fit_linear(parameters, resolve_options(model_type, {"L2_REG": 1.0, **options}), sample, None)
    return fitted.parameters, x, np.ones(n) if weight is None else weight


@pytest.mark.parametrize(("model_type", "task"), LINEAR)
@pytest.mark.parametrize("weighted", [False, True])
def test_linear_models_are_explained_as_defined(model_type, task, weighted):
    parameters, x, weight = linear(model_type, task, weighted)
    # Code 0 is a category that training has not seen.
    encoded = np.array([[0.5, -1.0, 2], [0.0, 0.0, 0], [3.0, 1.0, 4]])
    found = explain(parameters, encoded)
    for row, values in zip(encoded, found.values, strict=True):

        def mean(known, row=row):
            mixed = x.copy()
            mixed[:, sorted(known)] = row[sorted(known)]
            return np.average(raw_values(parameters, mixed), axis=0, weights=weight)

        np.testing.assert_allclose(values, shapley(mean, 3), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.baseline, mean(frozenset()), rtol=1e-12)
    check_sums(parameters, encoded)
    check_sums(parameters, x)


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(ArtifactError, match="the parameters of a linear_reg have no coefficients"):
        explain(shape("LINEAR_REG", "regression", 2), np.zeros((1, 2)))
