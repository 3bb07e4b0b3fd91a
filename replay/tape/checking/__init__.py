"""Checking: every defect of a series by name, with the row it is met first in; and repair by named policies.

    report = check(open_rows("prices.parquet"))
    for finding in report.findings:
        ...

Memory is bounded, whatever the size and order of the file.
"""

from replay.tape.checking.checks import check, summary_of
from replay.tape.checking.files import open_rows, open_series
from replay.tape.checking.reading import Rows, lazy_rows
from replay.tape.checking.repair import POLICIES, Repair, parse_policies, repair
from replay.tape.checking.report import MEANINGS, CheckReport, Finding

__all__ = [
    "MEANINGS",
    "POLICIES",
    "CheckReport",
    "Finding",
    "Repair",
    "Rows",
    "check",
    "lazy_rows",
    "open_rows",
    "open_series",
    "parse_policies",
    "repair",
    "summary_of",
]
