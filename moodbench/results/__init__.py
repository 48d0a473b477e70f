"""The tidy results tables: ``results/<benchmark>/<model>.csv`` and, beside each, its provenance as JSON.

Nothing else reads or writes these two (scores of single rows, which may lie beside them, are `features.rowscores`).
`table` knows the CSV, `legacy` what older ones lack, `notes` the JSON, `pair` how both change at one moment, and
`files` who may change them.
"""

from moodbench.results.files import (
    Change,
    benchmarks_with_results,
    changing,
    check_results,
    read_all,
    read_provenance,
    read_results,
    result_files,
    row_scores_file,
    unverified,
    write_results,
)
from moodbench.results.pair import provenance_file
from moodbench.results.table import FIELDS

__all__ = [
    "FIELDS",
    "Change",
    "benchmarks_with_results",
    "changing",
    "check_results",
    "provenance_file",
    "read_all",
    "read_provenance",
    "read_results",
    "result_files",
    "row_scores_file",
    "unverified",
    "write_results",
]
