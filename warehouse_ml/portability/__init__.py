"""What a user's own SQL says that another engine refuses or reads differently, and the words that all read alike."""

from warehouse_ml.portability.check import Finding, check_file, check_project, check_text
from warehouse_ml.portability.rules import LEVELS, RULES, Rule

__all__ = ["LEVELS", "RULES", "Finding", "Rule", "check_file", "check_project", "check_text"]
