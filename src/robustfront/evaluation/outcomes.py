"""What an evaluation leaves behind: a row per image and outcome, some images, and last the record of it all.

Nothing here imports torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load as from_safetensors
from safetensors.numpy import save as to_safetensors

from robustfront import artefacts
from robustfront.checksums import read_record, write_record
from robustfront.config.evaluations import FINAL, IMAGES, RECORD, ROWS, Evaluation
from robustfront.errors import ArtefactError
from robustfront.evaluation.statistics import wilson

SCHEMA = pa.schema(
    [
        pa.field("sample", pa.int64(), nullable=False),
        pa.field("outcome", pa.string(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("prediction", pa.int64(), nullable=False),
        pa.field("loss", pa.float32(), nullable=False),
        pa.field("success", pa.bool_(), nullable=False),
        pa.field("carried", pa.bool_(), nullable=False),
    ]
)
"""Columns of the rows; docs/architecture.md says what they mean."""


Verdict = dict[str, Any]
"""Of a masking check: `check`; `passed`, whether it found nothing (None: it does not apply to the network);
`detail` with the numbers; `images`, on how many. What that is worth is told by `verdicts.judged`."""


@dataclass(frozen=True)
class Evaluated:
    """Of one evaluation: its rows and images by name, None for the masking checks, and its record."""

    rows: pd.DataFrame | None
    images: dict[str, np.ndarray] | None
    record: dict[str, Any]


def file(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")


def save(evaluated: Evaluated, stem: Path) -> None:
    """Writes the files, each atomically, the record last; equal rows and images give equal bytes.

    An older record goes first: it would not be true of the new rows.
    """
    file(stem, RECORD).unlink(missing_ok=True)
    written: list[Path] = []
    if evaluated.rows is not None:
        written.append(file(stem, ROWS))
        with artefacts.atomic_write(written[-1]) as temporary:
            table = pa.Table.from_pandas(evaluated.rows, schema=SCHEMA, preserve_index=False)
            pq.write_table(table, temporary)
    if evaluated.images is not None:
        written.append(file(stem, IMAGES))
        with artefacts.atomic_write(written[-1]) as temporary:
            temporary.write_bytes(to_safetensors(evaluated.images))
    write_record(file(stem, RECORD), evaluated.record, written)


def load(stem: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows and the record saved under `stem`. ArtefactError if either is missing or damaged."""
    path = file(stem, ROWS)
    found = read_record(file(stem, RECORD), path.name)
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({error}); delete it and run `snakemake` again") from None
    if table.schema.names != SCHEMA.names:
        raise ArtefactError(f"{path}: has columns {table.schema.names}; delete it and run `snakemake` again")
    return table.to_pandas(), found


def images(stem: Path) -> dict[str, np.ndarray]:
    """The images saved under `stem`: `samples` (8,), and per outcome x' (8, C, H, W).

    ArtefactError if they or the record are missing or damaged.
    """
    path = file(stem, IMAGES)
    read_record(file(stem, RECORD), path.name)
    try:
        return from_safetensors(path.read_bytes())
    except (SafetensorError, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({error}); delete it and run `snakemake` again") from None


def record(stem: Path) -> dict[str, Any]:
    """The record alone. ArtefactError if it is missing or damaged."""
    found: dict[str, Any] = read_record(file(stem, RECORD))
    return found


def is_complete(stem: Path, evaluation: Evaluation, run_id: str, made_from: Mapping[str, str]) -> bool:
    """Whether all its files are there, and made of this run from what lies there now."""
    if not all(file(stem, suffix).is_file() for suffix in evaluation.suffixes):
        return False
    try:
        found = record(stem)
        return bool(found["run"] == run_id and found["made_from"] == made_from)
    except (ArtefactError, LookupError, TypeError):
        return False


def fell(rows: pd.DataFrame, outcome: str = FINAL) -> "pd.Series[bool]":
    """Whether each image fell, by sample."""
    return rows[rows["outcome"] == outcome].set_index("sample")["success"]


def rate(fallen: "pd.Series[bool]") -> dict[str, float]:
    """`n`, `errors`, and as fractions `error` with its Wilson 95 % interval `low`, `high`."""
    n, errors = len(fallen), int(fallen.sum())
    low, high = wilson(errors, n)
    return {"n": n, "errors": errors, "error": errors / n, "low": low, "high": high}


def worst_case(fallen: "Sequence[pd.Series[bool]]") -> "pd.Series[bool]":
    """Whether each image fell to any of some attacks, of the images that all of them saw."""
    return pd.concat(fallen, axis=1, join="inner").any(axis=1)
