"""What a suite leaves behind: a row per test image per attack, and the aggregates computed from them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from robustfront import artefacts
from robustfront.checksums import read_record, write_record
from robustfront.config.schema import Suite
from robustfront.errors import ArtefactError
from robustfront.evaluation.statistics import wilson

SCHEMA = pa.schema(
    [
        pa.field("sample", pa.int64(), nullable=False),
        pa.field("attack", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("prediction", pa.int64(), nullable=False),
        pa.field("loss", pa.float32(), nullable=False),
        pa.field("success", pa.bool_(), nullable=False),
        pa.field("carried", pa.bool_(), nullable=False),
    ]
)
"""Columns of the rows; docs/architecture.md says what they mean."""

CLEAN, WORST_CASE = "clean", "worst-case"


def aggregate(rows: pd.DataFrame, suite: Suite) -> dict[str, dict[str, float]]:
    """Attack -> `n`, `errors`, `error`, `low`, `high` (fractions; Wilson 95 %); `clean` first, then in order.

    `worst-case` comes last: images on which any attack succeeded, among those that all attacks saw.
    """
    names = [CLEAN, *suite.attacks]
    success = {name: successes(rows, name) for name in names}
    attacked = [success[name] for name in names[1:] or names]
    shared = pd.concat(attacked, axis=1, join="inner").any(axis=1)
    return {name: _rate(fallen) for name, fallen in (success | {WORST_CASE: shared}).items()}


def successes(rows: pd.DataFrame, attack: str) -> "pd.Series[bool]":
    """Whether `attack` succeeded, by sample."""
    return rows[rows["attack"] == attack].set_index("sample")["success"]


def save(rows: pd.DataFrame, summary: dict[str, Any], stem: Path) -> None:
    """Writes `<stem>.parquet` and, after it, `<stem>.json`, each atomically; equal rows give equal bytes."""
    with artefacts.atomic_write(_file(stem, "parquet")) as temporary:
        pq.write_table(pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False), temporary)
    write_record(_file(stem, "json"), summary, [_file(stem, "parquet")])


def load(stem: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and the summary saved under `stem`. ArtefactError if either is missing or damaged."""
    path = _file(stem, "parquet")
    summary = read_record(_file(stem, "json"), path.name)
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({error}); delete it and run `snakemake` again") from None
    if table.schema.names != SCHEMA.names:
        raise ArtefactError(f"{path}: has columns {table.schema.names}; delete it and run `snakemake` again")
    return table.to_pandas(), summary


def _file(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")


def _rate(fallen: "pd.Series[bool]") -> dict[str, float]:
    n, errors = len(fallen), int(fallen.sum())
    low, high = wilson(errors, n)
    return {"n": n, "errors": errors, "error": errors / n, "low": low, "high": high}
