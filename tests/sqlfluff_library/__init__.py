"""The filters of the toolkit's templates, for the SQL linter."""

SQLFLUFF_JINJA_FILTERS = {
    "ident": str,
    "literal": lambda value: f"'{value}'",
    "wml": lambda name: f"wml.{name}",
}


def var(name: str) -> int:
    """Stand in for a number of [vars]; templates calculate with it."""
    return 15


def rule(*_: object, **__: object) -> str:
    """Stand in for a macro of rules, which is a whole query."""
    return "select 'due' as reason"


on_schedule = version_older_than = new_rows = definition_changed = commit_changed = rule
metric_below = metric_above = metric_worse_than_before = slice_differs = impact_ratio_below = input_drifts = rule
