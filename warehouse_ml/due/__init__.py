"""When something is due: cron's schedules, and the macros that a project's rules are written with."""

from warehouse_ml.due.cron import Schedule, read_schedule
from warehouse_ml.due.names import rule_macros

__all__ = ["Schedule", "read_schedule", "rule_macros"]
