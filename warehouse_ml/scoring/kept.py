"""Estimators that coefficients and trees cannot tell: kept as files of skops, and read as if a stranger wrote them.

skops restores objects without pickle, by type. Which types it may restore is said here, estimator by estimator, after
a look at what each does with what it is given; neither the file nor skops itself is asked. The file is read and checked
without skops first, whole, and what skops gets to see is put together anew from what was checked:

- a zip without compression, of ``schema.json`` and arrays, and nothing else in it;
- objects of the estimator's own list, dicts, lists, tuples, JSON values, and arrays of numbers;
- every array as long as its header says, so that a small file asks for little memory.
"""

from __future__ import annotations

import ast
import io
import json
import re
import threading
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from warehouse_ml.errors import ArtifactError, DefinitionError
from warehouse_ml.scoring.features import FittedFeature

if TYPE_CHECKING:
    import numpy as np

__all__ = ["KEPT_TYPES", "Kept", "checked", "dense", "needs_skops", "refuse_sql"]

_CALIBRATED = (
    "sklearn.calibration.CalibratedClassifierCV",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
)
_KERNELS = (
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.RBF",
)
_BINARIZER = "sklearn.preprocessing._label.LabelBinarizer"

KEPT_TYPES: dict[str, tuple[str, ...]] = {
    "sklearn.neighbors.KNeighborsClassifier": ("sklearn.neighbors._classification.KNeighborsClassifier",),
    "sklearn.neighbors.KNeighborsRegressor": ("sklearn.neighbors._regression.KNeighborsRegressor",),
    "sklearn.svm.SVC": (*_CALIBRATED, "sklearn.svm._classes.SVC"),
    "sklearn.svm.NuSVC": (*_CALIBRATED, "sklearn.svm._classes.NuSVC"),
    "sklearn.svm.SVR": ("sklearn.svm._classes.SVR",),
    "sklearn.svm.NuSVR": ("sklearn.svm._classes.NuSVR",),
    "sklearn.neural_network.MLPClassifier": (
        "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
        _BINARIZER,
    ),
    "sklearn.neural_network.MLPRegressor": ("sklearn.neural_network._multilayer_perceptron.MLPRegressor",),
    "sklearn.gaussian_process.GaussianProcessClassifier": (
        "sklearn.gaussian_process._gpc.GaussianProcessClassifier",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.multiclass.OneVsRestClassifier",
        _BINARIZER,
        *_KERNELS,
    ),
    "sklearn.gaussian_process.GaussianProcessRegressor": (
        "sklearn.gaussian_process._gpr.GaussianProcessRegressor",
        *_KERNELS,
    ),
    "sklearn.naive_bayes.GaussianNB": ("sklearn.naive_bayes.GaussianNB",),
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis": (
        "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis",
    ),
    "sklearn.kernel_ridge.KernelRidge": ("sklearn.kernel_ridge.KernelRidge",),
}
"""By the estimator's name, the types that its file may hold; the first is that of the whole."""

_BUILTIN = {
    "DictNode": ("builtins.dict",),
    "ListNode": ("builtins.list",),
    "TupleNode": ("builtins.tuple",),
    "JsonNode": ("builtins.str",),
    # The types of a dict's keys.
    "TypeNode": ("builtins.str",),
    "NdArrayNode": ("numpy.ndarray", "numpy.float64", "numpy.int64", "numpy.int32", "numpy.bool", "numpy.bool_"),
}
_PROTOCOLS = (2,)
_SCHEMA = "schema.json"
_ARRAY = re.compile(r"\d{1,20}\.npy")
_MOST_BYTES, _MOST_SCHEMA_BYTES, _MOST_FILES = 2**32, 2**26, 100_000
_KINDS = "fiub"
# A kernel has a number for each of these rows and each row trained on.
_ROWS_AT_ONCE = 2_048


@dataclass(frozen=True, eq=False)
class Kept:
    """An estimator in its file.

    Parameters
    ----------
    name : str
        A key of ``KEPT_TYPES``.
    content : bytes
        The file, as ``checked`` returns it.
    n_columns : int
        Of the matrix that it was fitted on.
    n_classes : int
        0 for a regression.
    """

    name: str
    content: bytes
    n_columns: int
    n_classes: int

    @cached_property
    def estimator(self) -> Any:
        """The estimator itself.

        Raises
        ------
        ArtifactError
            If skops is not installed, or the file does not hold this estimator.
        """
        try:
            import skops.io
        except ImportError:
            raise ArtifactError(**needs_skops(self.name)) from None
        try:
            found = skops.io.loads(self.content, trusted=list(KEPT_TYPES[self.name]))
            _check_fitted(found, self)
        except ArtifactError:
            raise
        except Exception as error:
            # Whatever skops or an estimator thinks of it, nothing of it is used.
            raise _refused(f"cannot be restored: {type(error).__name__}: {str(error)[:200]}") from None
        return found

    @cached_property
    def _lock(self) -> threading.Lock:
        # Libraries of C that keep their settings in one place for all threads.
        return threading.Lock()

    def outputs(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the value of each row and None, or the index of its class and the probabilities of all classes.

        Parameters
        ----------
        matrix : float64 array of shape (n, n_columns)

        Returns
        -------
        array of shape (n,)
            float64 values or int64 indexes.
        array of shape (n, n_classes), or None
        """
        import numpy as np

        estimator = self.estimator
        values = np.zeros(len(matrix), dtype=np.int64 if self.n_classes else np.float64)
        shares = np.zeros((len(matrix), self.n_classes))
        with self._lock:
            for start in range(0, len(matrix), _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                values[rows] = np.asarray(estimator.predict(matrix[rows])).ravel()
                if self.n_classes:
                    shares[rows] = estimator.predict_proba(matrix[rows])
        return values, shares if self.n_classes else None


def dense(features: Sequence[FittedFeature], encoded: np.ndarray) -> np.ndarray:
    """Return the matrix that a kept estimator is given: each code of a category as a column of its own."""
    import numpy as np

    parts = []
    for feature, column in zip(features, encoded.T, strict=True):
        if feature.encoding == "one_hot":
            codes = np.arange(1, feature.n_slots + 1)
            parts.append((column[:, None] == codes[None, codes != feature.reference]).astype(np.float64))
        else:
            parts.append(column[:, None])
    return np.ascontiguousarray(np.concatenate(parts, axis=1), dtype=np.float64)


def needs_skops(name: str) -> dict[str, Any]:
    """Return what an error says where skops is not installed."""
    return {
        "what": f"{name} is kept as a file of skops, which is not installed",
        "hint": 'pip install "warehouse-ml[skops]"',
    }


def checked(content: bytes, name: str) -> bytes:
    """Return the file of an estimator put together anew, in the one way in which its content can be written.

    Parameters
    ----------
    content : bytes
        As skops wrote it, or as it was read.
    name : str
        Which estimator it must hold, a key of ``KEPT_TYPES``.

    Raises
    ------
    ArtifactError
        If it holds anything else; skops has not seen it then.
    """
    schema, files = _unpacked(content)
    if schema.get("protocol") not in _PROTOCOLS:
        raise _refused(f"has the protocol {str(schema.get('protocol'))[:20]}", has=[str(one) for one in _PROTOCOLS])
    if _type_of(schema) != KEPT_TYPES[name][0]:
        raise _refused(f"holds {_type_of(schema)[:100]}, not {KEPT_TYPES[name][0]}")
    used: dict[str, str] = {}
    ids: dict[object, int] = {}
    _check_node(schema, KEPT_TYPES[name], files, used, ids)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        # The clock and addresses in memory stay out of it: the same estimator is the same bytes.
        for old, new in used.items():
            archive.writestr(zipfile.ZipInfo(new), files[old])
        archive.writestr(zipfile.ZipInfo(_SCHEMA), json.dumps(schema, sort_keys=True))
    return packed.getvalue()


def _unpacked(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(set(names)) < len(names) or len(names) > _MOST_FILES:
                raise _refused("has a file twice, or too many")
            for entry in entries:
                if entry.filename != _SCHEMA and not _ARRAY.fullmatch(entry.filename):
                    raise _refused(f'holds "{entry.filename[:80]}"', has=[_SCHEMA, "*.npy"])
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                    raise _refused("is compressed, which hides how large it is")
            if _SCHEMA not in names or archive.getinfo(_SCHEMA).file_size > _MOST_SCHEMA_BYTES:
                raise _refused("has no schema, or one that is too large")
            if sum(entry.file_size for entry in entries) > min(_MOST_BYTES, len(content)):
                raise _refused("says that it is larger than it is")
            files = {entry.filename: archive.read(entry) for entry in entries}
        schema = json.loads(files.pop(_SCHEMA))
    except (zipfile.BadZipFile, ValueError, RecursionError, NotImplementedError, RuntimeError, EOFError, OSError) as e:
        raise _refused(f"cannot be read: {type(e).__name__}: {str(e)[:200]}") from None
    if not isinstance(schema, dict):
        raise _refused("has a schema that is no object")
    return schema, files


def _check_node(
    root: dict[str, Any],
    types: Sequence[str],
    files: Mapping[str, bytes],
    used: dict[str, str],
    ids: dict[object, int],
) -> None:
    """Check every node of a schema, and give files and nodes numbers in the order of the text."""
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(reversed(node))
            continue
        if not isinstance(node, dict):
            continue
        waiting.extend(node[key] for key in sorted(node, reverse=True))
        if not node.keys() & {"__loader__", "__class__", "__module__"}:
            continue
        loader, kind = node.get("__loader__"), _type_of(node)
        allowed = types if loader == "ObjectNode" else _BUILTIN.get(str(loader), ())
        if kind not in allowed:
            raise _refused(f"holds {kind[:100]} by {str(loader)[:40]}", has=list(types))
        if node.keys() & {"__reduce__"}:
            raise _refused("says how an object is to be made")
        if "__id__" in node:
            node["__id__"] = ids.setdefault(str(node["__id__"]), len(ids) + 1)
        if loader == "NdArrayNode":
            name = node.get("file")
            if node.get("type") != "numpy" or not isinstance(name, str) or name not in files:
                raise _refused("has an array of objects, or one without its file")
            _check_array(files[name])
            node["file"] = used.setdefault(name, f"{len(used) + 1}.npy")


def _type_of(node: Mapping[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def _check_array(content: bytes) -> None:
    """Check the header of an array before anybody makes room for what it says."""
    import math

    import numpy as np

    # Magic, version 1.0, length of the header, and a dict that says type, order and shape.
    if content[:8] != b"\x93NUMPY\x01\x00" or len(content) < 10:
        raise _refused("has an array in another format")
    length = int.from_bytes(content[8:10], "little")
    try:
        header = ast.literal_eval(content[10 : 10 + length].decode("latin1"))
        kind, shape = np.dtype(header["descr"]), header["shape"]
        n_bytes = kind.itemsize * math.prod(shape)
        is_plain = isinstance(header["descr"], str) and kind.kind in _KINDS and all(size >= 0 for size in shape)
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        raise _refused("has an array whose header cannot be read") from None
    if not is_plain or n_bytes != len(content) - 10 - length:
        raise _refused("has an array that is not of numbers, or not as long as it says")


def _check_fitted(found: Any, kept: Kept) -> None:
    """Check what compiled code would take on trust: how many rows, columns and classes there are."""
    import numpy as np

    type_of = f"{type(found).__module__}.{type(found).__qualname__}"
    _require(type_of == KEPT_TYPES[kept.name][0], f"is a {type_of}")
    _require(found.n_features_in_ == kept.n_columns, f"was fitted on {found.n_features_in_} columns")
    if kept.n_classes:
        _require(np.array_equal(found.classes_, np.arange(kept.n_classes)), "knows other classes")
    short = kept.name.rpartition(".")[2]
    if short.startswith("KNeighbors"):
        rows, answers = found._fit_X, found._y
        _require(found._fit_method == "brute" and found._tree is None, "searches in another way than row by row")
        _require(
            _is_matrix(rows, None, kept.n_columns) and len(answers) == len(rows) == found.n_samples_fit_, "is torn"
        )
        _require(1 <= found.n_neighbors <= len(rows), "asks for more neighbours than it has")
        if kept.n_classes:
            _require(answers.dtype.kind == "i" and 0 <= answers.min() <= answers.max() < kept.n_classes, "is torn")
    if short in ("SVC", "NuSVC"):
        _require(len(found.calibrated_classifiers_) == 1, "has several calibrations")
        found = found.calibrated_classifiers_[0].estimator
        _require(np.array_equal(found.classes_, np.arange(kept.n_classes)), "knows other classes")
        _require(found.n_features_in_ == kept.n_columns, "is torn")
    if short in ("SVC", "NuSVC", "SVR", "NuSVR"):
        _check_support(found, kept)


def _check_support(found: Any, kept: Kept) -> None:
    import numpy as np

    n_vectors, n_classes = len(found.support_), kept.n_classes or 2
    n_pairs = n_classes * (n_classes - 1) // 2
    counts = found._n_support
    _require(not found._sparse and _is_matrix(found.support_vectors_, n_vectors, kept.n_columns), "is torn")
    _require(_is_matrix(found._dual_coef_, n_classes - 1, n_vectors), "is torn")
    _require(found._intercept_.shape == (n_pairs,) and found._intercept_.dtype == np.float64, "is torn")
    _require(found.support_.dtype == counts.dtype == np.int32 and (counts >= 0).all(), "is torn")
    _require(len(counts) == 2 if not kept.n_classes else len(counts) == n_classes, "is torn")
    _require(int(counts.sum()) == n_vectors if kept.n_classes else int(counts[0]) == n_vectors, "is torn")
    _require(len(found._probA) == len(found._probB) == 0, "has probabilities of its own")


def _is_matrix(array: Any, n_rows: int | None, n_columns: int) -> bool:
    import numpy as np

    is_right = isinstance(array, np.ndarray) and array.dtype == np.float64 and array.ndim == 2
    return bool(is_right and array.shape[1] == n_columns and n_rows in (None, len(array)) and np.isfinite(array).all())


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise _refused(what)


def _refused(what: str, has: Sequence[str] | None = None) -> ArtifactError:
    return ArtifactError(f"the file of the estimator {what}; it is not used", has=has, hint="train the model again")


def refuse_sql(name: str) -> DefinitionError:
    """Return the error of one who asks for the SQL or the coefficients of a kept estimator."""
    return DefinitionError(
        f"{name} is scored by the estimator itself: it has neither SQL nor coefficients",
        hint="ml.predict, ml.evaluate and wml predict score by it; a view, or an explanation, needs another estimator",
    )
