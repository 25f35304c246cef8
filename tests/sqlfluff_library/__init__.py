"""The filters of the toolkit's templates, for the SQL linter."""

SQLFLUFF_JINJA_FILTERS = {
    "ident": str,
    "literal": lambda value: f"'{value}'",
    "wml": lambda name: f"wml.{name}",
}


def var(name: str) -> int:
    """Stand in for a number of [vars]; templates calculate with it."""
    return 15
