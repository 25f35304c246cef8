"""Each preprocessing function against scikit-learn, or plain Python where scikit-learn has no such thing."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)

from tests.training.transforming import applied, fitted, given
from warehouse_ml.errors import DataError
from warehouse_ml.warehouses.base import Relation
from warehouse_ml.warehouses.duckdb import DuckDBWarehouse

RNG = np.random.default_rng(0)
# 4 k + 1 values, so that a quartile is a value for every definition of quantiles.
VALUES = [None if index % 9 == 4 else float(x) for index, x in enumerate(RNG.normal(3, 5, 200))]
VALUES = [*VALUES, *[1.5] * ((1 - sum(x is not None for x in VALUES)) % 4)]
KNOWN = np.array([[x] for x in VALUES if x is not None])


@pytest.fixture(scope="module")
def warehouse():
    warehouse = DuckDBWarehouse(threads=2)
    yield warehouse
    warehouse.close()


def load(warehouse, name, **columns):
    n_rows = len(next(iter(columns.values())))
    warehouse.load(Relation(name), pa.table({**columns, "row": range(n_rows)}))


@pytest.mark.parametrize(
    ("call", "estimator"),
    [
        ("ml.standard_scaler(x) over ()", StandardScaler()),
        ("ml.min_max_scaler(x) over ()", MinMaxScaler(clip=True)),
        ("ml.max_abs_scaler(x) over ()", MaxAbsScaler()),
        ("ml.robust_scaler(x) over ()", RobustScaler()),
        ("ml.robust_scaler(x, [25, 75], false) over ()", RobustScaler(with_centering=False)),
        ("ml.robust_scaler(x, [25, 75], true, false) over ()", RobustScaler(with_scaling=False)),
    ],
)
def test_scalers(warehouse, call, estimator):
    transform = fitted(warehouse, {"x": VALUES}, f"{call} as y")
    found = applied(warehouse, transform)["y"]
    assert [value is None for value in found] == [x is None for x in VALUES]
    estimator.fit(KNOWN)
    np.testing.assert_allclose(
        [value for value in found if value is not None], estimator.transform(KNOWN)[:, 0], rtol=1e-11, atol=1e-11
    )
    # Rows not seen in training, beyond its range on both sides; what is not finite is missing.
    unseen = [-1e6, 1e6, 0.0, None, math.nan, math.inf, -math.inf]
    load(warehouse, "unseen", x=unseen)
    later = applied(warehouse, transform, "unseen")["y"]
    expected = estimator.transform(np.array([[x] for x in unseen[:3]]))[:, 0]
    np.testing.assert_allclose(later[:3], expected, rtol=1e-11, atol=1e-11)
    assert later[3:] == [None] * 4


def test_robust_scaler_takes_values_that_occur(warehouse):
    # Google's own example: the quartiles of six values are 1 and 4, their median is 2.
    found = given(warehouse, {"f": [None, -3, 1, 2, 3, 4, 5]}, "ml.robust_scaler(f) over () as y")["y"]
    assert found == [None, *[pytest.approx((x - 2) / 3) for x in (-3, 1, 2, 3, 4, 5)]]


@pytest.mark.parametrize("name", ["standard_scaler", "min_max_scaler", "robust_scaler"])
def test_a_constant_column_is_zero(warehouse, name):
    found = given(warehouse, {"x": [7.0, 7.0, None, 7.0]}, f"ml.{name}(x) over () as y")["y"]
    assert found == [0.0, 0.0, None, 0.0]
    assert given(warehouse, {"x": [0.0, None]}, "ml.max_abs_scaler(x) over () as y")["y"] == [0.0, None]


def test_robust_scaler_of_many_equal_values_still_tells_the_others_apart(warehouse):
    found = given(warehouse, {"x": [0.0] * 8 + [1.0, 50.0]}, "ml.robust_scaler(x) over () as y")["y"]
    assert found == RobustScaler().fit_transform(np.array([[0.0]] * 8 + [[1.0], [50.0]]))[:, 0].tolist()


@pytest.mark.parametrize("name", ["standard_scaler", "min_max_scaler", "max_abs_scaler", "robust_scaler"])
def test_an_empty_column_stays_empty_and_scales_to_zero(warehouse, name):
    columns = {"x": pa.nulls(3, pa.float64()), "z": [1.0, 2.0, 4.0]}
    transform = fitted(warehouse, columns, f"ml.{name}(x) over () as y, z")
    assert applied(warehouse, transform)["y"] == [None] * 3
    load(warehouse, "unseen", x=[5.0, None], z=[0.0, 0.0])
    assert applied(warehouse, transform, "unseen")["y"] == [0.0, None]


@pytest.mark.parametrize("name", ["standard_scaler", "min_max_scaler", "max_abs_scaler", "robust_scaler"])
def test_numbers_too_large_to_be_squared_are_refused(warehouse, name):
    with pytest.raises(DataError, match=rf'm.sql:3:4: ml.{name}\("x"\) reaches 1.6e\+308, and cannot be scaled'):
        given(warehouse, {"x": [-1.6e308, 0.0, 1.6e308]}, f"ml.{name}(x) over () as y")


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_imputer_of_numbers(warehouse, strategy):
    values = [3.0, None, 1.0, 3.0, 1.0, None, 10.0, 2.5, -4.0]
    found = given(warehouse, {"x": values}, f"ml.imputer(x, '{strategy}') over () as y")["y"]
    # An odd number of values, so that their median is one of them.
    expected = SimpleImputer(strategy=strategy).fit_transform(np.array([[np.nan if x is None else x] for x in values]))
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-11)


def test_imputer_of_whole_numbers_and_texts(warehouse):
    columns = {"n": [5, None, 7, 7, 5], "s": ["b", "a", None, "b", "a"]}
    found = given(
        warehouse, columns, "ml.imputer(n, 'most_frequent') over () as n, ml.imputer(s, 'most_frequent') over () as s"
    )
    # Of equally frequent ones the least, as scikit-learn has it.
    assert found == {"n": [5.0, 5.0, 7.0, 7.0, 5.0], "s": ["b", "a", "a", "b", "a"]}
    # The median is a value that occurs: of an even number the lower one.
    assert given(warehouse, {"x": [1, 2, None]}, "ml.imputer(x, 'median') over () as y")["y"] == [1.0, 2.0, 1.0]


@pytest.mark.parametrize("n_rows", [1, 7, 10, 30, 101])
@pytest.mark.parametrize("n_buckets", [2, 7, 10])
def test_quantile_bucketize_by_brute_force(warehouse, n_rows, n_buckets):
    values = RNG.integers(0, 40, n_rows).tolist()
    ordered = sorted(values)
    points = sorted({ordered[-(-index * n_rows // n_buckets) - 1] for index in range(1, n_buckets)})
    expected = [f"bin_{1 + sum(x >= point for point in points)}" for x in values]
    found = given(warehouse, {"x": [*values, None]}, f"ml.quantile_bucketize(x, {n_buckets}) over () as y")["y"]
    assert found == [*expected, None]


def test_quantile_bucketize_as_documented(warehouse):
    found = given(
        warehouse,
        {"f": [1, 2, 3, 4, 5]},
        "ml.quantile_bucketize(f, 3) over () as names",
        "ml.quantile_bucketize(f, 3, 'bucket_ranges') over () as ranges",
        "ml.quantile_bucketize(f, 3, 'bucket_ranges_json') over () as texts",
    )
    assert found["names"] == ["bin_1", "bin_2", "bin_2", "bin_3", "bin_3"]
    assert found["ranges"] == ["(-inf, 2)", "[2, 4)", "[2, 4)", "[4, +inf)", "[4, +inf)"]
    assert found["texts"][0] == '{"start": "-Infinity", "end": "2"}'
    assert found["texts"][2] == '{"start": "2", "end": "4"}'
    assert found["texts"][4] == '{"start": "4", "end": "Infinity"}'


def test_bucketize(warehouse):
    columns = {"x": [0.5, 1.0, 2.4, 2.5, 3.0, 99.0, None, math.nan]}
    found = given(
        warehouse,
        columns,
        "ml.bucketize(x, [1, 2.5, 3]) as a",
        "ml.bucketize(x, [1, 2.5, 3], true) as b",
        "ml.bucketize(x, [1, 2.5], false, 'bucket_ranges') as c",
        "ml.bucketize(x, [-1.5, 2], true) as d",
    )
    # As numpy's digitize counts: closed below, open above.
    assert found["a"][:6] == [f"bin_{1 + i}" for i in np.digitize(columns["x"][:6], [1, 2.5, 3])]
    assert found["b"][:6] == [f"bin_{1 + i}" for i in np.digitize(columns["x"][:6], [2.5])]
    assert found["c"][:6] == ["(-inf, 1)", "[1, 2.5)", "[1, 2.5)", *["[2.5, +inf)"] * 3]
    assert found["d"][:6] == ["bin_1"] * 6
    assert all(values[6:] == [None, None] for values in found.values())


def test_hash_bucketize(warehouse):
    texts = ["a", "b", "", "Ä", "a", None]
    found = given(warehouse, {"s": texts}, "ml.hash_bucketize(s, 7) as seven, ml.hash_bucketize(s, 0) as hashed")
    hashes = [
        None if text is None else int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)
        for text in texts
    ]
    assert found["hashed"] == hashes
    assert found["seven"] == [None if one is None else one % 7 for one in hashes]


CATEGORIES = ["b", "a", "c", "c", None, "b", "c", "Ä", "d", "d"]


def test_one_hot_encoder_against_scikit_learn(warehouse):
    transform = fitted(warehouse, {"s": CATEGORIES}, "ml.one_hot_encoder(s, 'none', 32000, 0) over () as y")
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    encoder.fit([[text] for text in CATEGORIES if text is not None])
    load(warehouse, "unseen", s=["new", "b", None, "Ä", ""])
    for relation, texts in (("rows", CATEGORIES), ("unseen", ["new", "b", None, "Ä", ""])):
        expected = encoder.transform([[text or "new"] for text in texts])
        found = applied(warehouse, transform, relation)["y"]
        assert [row[0]["value"] for row in found] == [1.0] * len(texts)
        dense = np.zeros(expected.shape)
        for row, encoded in enumerate(found):
            if encoded[0]["index"]:
                dense[row, encoded[0]["index"] - 1] = 1
        np.testing.assert_array_equal(dense, expected)


def test_one_hot_encoder_as_documented(warehouse):
    columns = {"f": [None, "a", "b", "b", "c", "c", "c", "d", "d"]}
    found = given(warehouse, columns, "ml.one_hot_encoder(f, 'most_frequent', 10, 0) over () as y")["y"]
    assert [(row[0]["index"], row[0]["value"]) for row in found] == [
        *[(0, 1.0), (1, 1.0), (2, 1.0), (2, 1.0)],
        *[(3, 0.0), (3, 0.0), (3, 0.0), (4, 1.0), (4, 1.0)],
    ]


def test_top_k_and_frequency_threshold(warehouse):
    columns = {"s": ["x"] * 6 + ["a"] * 5 + ["m"] * 5 + ["r"] * 4 + [None]}
    items = {
        "plain": "ml.label_encoder(s) over ()",
        "two": "ml.label_encoder(s, 2) over ()",
        "two_and_six": "ml.label_encoder(s, 2, 6) over ()",
        "none": "ml.label_encoder(s, 2, 7) over ()",
        "all": "ml.label_encoder(s, 32000, 0) over ()",
    }
    found = given(warehouse, columns, *[f"{call} as {name}" for name, call in items.items()])
    codes = {
        "plain": {"a": 1, "m": 2, "x": 3},
        # Of a and m, equally frequent, the first in the alphabet.
        "two": {"a": 1, "x": 2},
        "two_and_six": {"x": 1},
        "none": {},
        "all": {"a": 1, "m": 2, "r": 3, "x": 4},
    }
    for name, expected in codes.items():
        assert found[name] == [expected.get(text, 0) for text in columns["s"]], name
        assert all(isinstance(code, int) for code in found[name])


def test_multi_hot_encoder_as_documented(warehouse):
    columns = {"f": [["a", "b", "b", "c", None], ["c", "c", "d", "d", None]]}
    found = given(warehouse, columns, "ml.multi_hot_encoder(f, 3, 1) over () as y")["y"]
    # A category counts once a row: c twice, the others once, and the alphabet decides among those.
    assert [[(one["index"], one["value"]) for one in row] for row in found] == [
        [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0)],
        [(0, 1.0), (3, 1.0)],
    ]


def test_multi_hot_encoder_by_brute_force(warehouse):
    rows = [None, [], *[RNG.choice([*"abcdefgh", "Ü"], size).tolist() for size in RNG.integers(0, 6, 60)]]
    found = given(warehouse, {"f": rows}, "ml.multi_hot_encoder(f, 5, 3) over () as y")["y"]
    counts = Counter(text for row in rows for text in set(row or ()))
    frequent = sorted((text for text in counts if counts[text] >= 3), key=lambda text: (-counts[text], text))[:5]
    codes = {text: code for code, text in enumerate(sorted(frequent), start=1)}
    expected = [sorted({codes.get(text, 0) for text in row or ()}) for row in rows]
    assert [[one["index"] for one in row] for row in found] == expected
    assert all(one["value"] == 1.0 for row in found for one in row)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_polynomial_expand(warehouse, degree):
    columns = {"f1": [2.0, -1.5, None, 0.0], "f2": [3, 4, 5, None], "f3": [0.5, 0.25, 7.0, 1.0]}
    call = f"ml.polynomial_expand(struct(f1, f2 as g, f3), {degree}) as y"
    found = given(warehouse, columns, call)["y"]
    estimator = PolynomialFeatures(degree, include_bias=False)
    complete = [row for row in zip(*columns.values(), strict=True) if None not in row]
    expected = estimator.fit_transform(np.array(complete))
    names = [
        "_".join(name for name, power in zip(("f1", "g", "f3"), powers, strict=True) for _ in range(power))
        for powers in estimator.powers_
    ]
    assert set(found[0]) == set(names)
    for row, values in enumerate(expected):
        np.testing.assert_allclose([found[row][name] for name in names], values, rtol=1e-12)
    # A product of what is missing is missing, and no other.
    assert {name for name, value in found[2].items() if value is None} == {name for name in names if "f1" in name}


def test_polynomial_expand_as_documented(warehouse):
    (found,) = given(warehouse, {"a": [2], "b": [3]}, "ml.polynomial_expand(struct(a as f1, b as f2)) as y")["y"]
    assert list(found.items()) == [("f1", 2.0), ("f1_f1", 4.0), ("f1_f2", 6.0), ("f2", 3.0), ("f2_f2", 9.0)]


def test_feature_cross(warehouse):
    columns = {"f1": ["a", "b", None], "f2": ["x", "x", "y"], "f3": ["p", "q", "r"]}
    found = given(
        warehouse,
        columns,
        "ml.feature_cross(struct(f1, f2, f3)) as two",
        "ml.feature_cross(struct(f1, f2, f3), 3) as three",
    )
    assert list(found["two"][0].items()) == [("f1_f2", "a_x"), ("f1_f3", "a_p"), ("f2_f3", "x_p")]
    for row in range(3):
        values = {name: columns[name][row] for name in columns}
        expected = {
            "_".join(names): None if None in (texts := [values[name] for name in names]) else "_".join(texts)
            for size in (2, 3)
            for names in combinations(columns, size)
        }
        assert found["three"][row] == expected


@pytest.mark.parametrize(("sizes", "low", "high"), [("[1, 2]", 1, 2), ("[2, 3]", 2, 3), ("2", 2, 2), ("[1, 9]", 1, 9)])
def test_ngrams(warehouse, sizes, low, high):
    lists = [["a", "b", "c"], ["b", "a", "b", "a"], ["x"], [], ["ä", "ö ü", "", "z"]]
    found = given(warehouse, {"f": [*lists, None, ["a", None, "b"]]}, f"ml.ngrams(f, {sizes}, '#') as y")["y"]
    expected = [
        [
            "#".join(row[start : start + n])
            for start in range(len(row))
            for n in range(low, high + 1)
            if start + n <= len(row)
        ]
        for row in [*lists, ["a", "b"]]
    ]
    assert found == [*expected[:-1], None, expected[-1]]


def test_ngrams_as_scikit_learn_counts_them(warehouse):
    texts = ["one two three two", "two three", "three three three one"]
    found = given(warehouse, {"f": texts}, "ml.ngrams(string_split(f, ' '), [1, 2]) as y")["y"]
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=r"\w+")  # noqa: S106
    counts = vectorizer.fit_transform(texts).toarray()
    names = vectorizer.get_feature_names_out()
    assert [Counter(row) for row in found] == [
        Counter({name: int(n) for name, n in zip(names, row, strict=True) if n}) for row in counts
    ]


@pytest.mark.parametrize(("p", "norm"), [("", "l2"), (", 2", "l2"), (", 1", "l1"), (", cast('+inf' as double)", "max")])
def test_normalizer(warehouse, p, norm):
    lists = [[4.0, 1.0, 2.0, 2.0, 0.0], [-3.0, 4.0, 0.0, 0.0, 0.0], [0.0] * 5, RNG.normal(size=5).tolist()]
    found = given(warehouse, {"f": [*lists, None, []]}, f"ml.normalizer(f{p}) as y")["y"]
    np.testing.assert_allclose(found[:4], Normalizer(norm).fit_transform(lists), rtol=1e-12)
    assert found[4:] == [None, []]


def test_normalizer_with_other_powers_and_missing_elements(warehouse):
    lists = [[3.0, None, -4.0, math.nan]]
    found = given(
        warehouse, {"f": lists}, "ml.normalizer(f, 3) as three, ml.normalizer(f, 0) as zero, ml.normalizer(f) as two"
    )
    norm = (27 + 64) ** (1 / 3)
    assert found["three"] == [[pytest.approx(3 / norm), None, pytest.approx(-4 / norm), None]]
    assert found["zero"] == [[1.5, None, -2.0, None]]
    assert found["two"] == [[0.6, None, -0.8, None]]
