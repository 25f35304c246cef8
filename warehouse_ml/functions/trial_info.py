"""``ml.trial_info``: how each trial of a tuning did, from the version alone."""

from __future__ import annotations

from typing import Any

from warehouse_ml.errors import DefinitionError
from warehouse_ml.functions.call import Call, Context
from warehouse_ml.functions.settings import settings

__all__ = ["trial_info"]


def trial_info(call: Call, context: Context) -> str:
    """Answer a call of ``ml.trial_info(model name)``.

    One row per trial: trial_id, hyperparameters (a struct of those that were tuned), hparam_tuning_evaluation_metrics
    (a struct of the objective, on the rows to evaluate on), training_loss, eval_loss, status (SUCCEEDED or FAILED),
    error_message, is_optimal. Columns are those of Google's reference of ``ML.TRIAL_INFO``.

    Raises
    ------
    VersionNotFoundError
        If there is no such version.
    DefinitionError
        If it was not tuned.
    """
    import pyarrow as pa

    settings(call)
    stored = context.stored(call)
    trials = stored.facts.get("trials")
    if not trials:
        raise DefinitionError(
            f"{call.model} was trained without tuning, and has no trials",
            place=call.place,
            hint="train it with num_trials = 10 and a range, such as l2_reg = hparam_range(0.01, 100)",
        )
    schema = pa.schema(
        [
            ("trial_id", pa.int64()),
            ("hyperparameters", _struct(stored.facts["tuning"]["hyperparameters"], trials)),
            (
                "hparam_tuning_evaluation_metrics",
                pa.struct([(name, pa.float64()) for name in trials[0]["hparam_tuning_evaluation_metrics"]]),
            ),
            ("training_loss", pa.float64()),
            ("eval_loss", pa.float64()),
            ("status", pa.string()),
            ("error_message", pa.string()),
            ("is_optimal", pa.bool_()),
        ]
    )
    return context.keep(call, pa.Table.from_pylist(trials, schema=schema))


def _struct(names: list[str], trials: list[dict[str, Any]]) -> Any:
    """Return the type of points: whole numbers stay whole, and any fraction makes all of its name fractions."""
    import pyarrow as pa

    fields = []
    for name in names:
        values = [trial["hyperparameters"][name] for trial in trials]
        if any(isinstance(value, str) for value in values):
            fields.append((name, pa.string()))
        elif all(isinstance(value, int) for value in values):
            fields.append((name, pa.int64()))
        else:
            fields.append((name, pa.float64()))
    return pa.struct(fields)
