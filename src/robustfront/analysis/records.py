"""The files of an analysis: `<stem>.safetensors` holds its arrays, `<stem>.json` what they mean. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from robustfront import artefacts
from robustfront.checksums import read_record, write_record
from robustfront.errors import ArtefactError


@dataclass(frozen=True)
class Record:
    """One analysis of one run. `facts` are its numbers; `about` says of what, how, where and how long."""

    arrays: Mapping[str, np.ndarray]
    facts: Mapping[str, Any]
    about: Mapping[str, Any]


def save(record: Record, stem: Path) -> None:
    """Writes both files atomically, the JSON last; equal records, equal bytes. ValueError for NaN facts."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in sorted(record.arrays.items())}
    with artefacts.atomic_write(_file(stem, "safetensors")) as temporary:
        temporary.write_bytes(safetensors.numpy.save(contiguous))
    write_record(_file(stem, "json"), {**record.about, "facts": record.facts}, [_file(stem, "safetensors")])


def load(stem: Path, run_id: str) -> Record:
    """What `save` wrote under `stem`. ArtefactError if a file is missing, damaged or another run's."""
    path, arrays_path = _file(stem, "json"), _file(stem, "safetensors")
    about = read_record(path, arrays_path.name)
    if not isinstance(about, dict) or not isinstance(about.get("facts"), dict):
        raise ArtefactError(f"{path}: damaged (no `facts`); delete it and run `snakemake` again")
    if about.get("run") != run_id:
        raise ArtefactError(
            f"{path}: belongs to run {about.get('run')!r}; delete it and run `snakemake` again"
        )
    try:
        arrays = safetensors.numpy.load_file(arrays_path)
    except (SafetensorError, OSError) as error:
        raise ArtefactError(
            f"{arrays_path}: damaged ({error}); delete it and run `snakemake` again"
        ) from None
    return Record(arrays, about.pop("facts"), about)


def _file(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}.{suffix}")
