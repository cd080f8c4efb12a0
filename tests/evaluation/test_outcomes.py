from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from robustfront.checksums import write_record
from robustfront.config.schema import Suite
from robustfront.errors import ArtefactError
from robustfront.evaluation.outcomes import aggregate, load, save, successes
from robustfront.evaluation.statistics import wilson

PGD = {"kind": "pgd", "steps": 2, "step_size": 0.1}
SUITE = Suite.model_validate({"name": "toy", "threat": {"eps": 0.1}, "attacks": {"pgd": PGD, "strong": PGD}})


def rows_of(fell: dict[str, list[bool]]) -> pd.DataFrame:
    parts = []
    for attack, success in fell.items():
        n = len(success)
        part = {
            "sample": np.arange(n),
            "attack": attack,
            "label": 0,
            "prediction": np.array(success, dtype=np.int64),
        }
        part |= {"loss": np.linspace(0, 1, n, dtype=np.float32), "success": success, "carried": False}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


ROWS = rows_of(
    {
        "clean": [True, False, False, False, False],
        "pgd": [True, True, False, False, True],
        "strong": [True, False, True, False],
    }
)


def test_aggregates_count_and_the_worst_case_joins_what_all_attacks_saw() -> None:
    found = aggregate(ROWS, SUITE)
    assert list(found) == ["clean", "pgd", "strong", "worst-case"]
    counts = {name: (rate["errors"], rate["n"]) for name, rate in found.items()}
    assert counts == {"clean": (1, 5), "pgd": (3, 5), "strong": (2, 4), "worst-case": (3, 4)}
    low, high = wilson(3, 5)
    assert found["pgd"] == {"n": 5, "errors": 3, "error": 0.6, "low": low, "high": high}


def test_a_suite_without_attacks_has_the_clean_errors_as_worst_case() -> None:
    found = aggregate(ROWS, SUITE.model_copy(update={"attacks": {}}))
    assert found["worst-case"] == found["clean"]


def test_successes_are_indexed_by_sample() -> None:
    assert successes(ROWS, "strong").to_dict() == {0: True, 1: False, 2: True, 3: False}


def test_rows_and_summary_survive_a_round_trip(tmp_path: Path) -> None:
    stem = tmp_path / "eval" / "toy-8.1-abc"
    summary = {"run": "a-1", "attacks": aggregate(ROWS, SUITE)}
    save(ROWS, summary, stem)
    rows, found = load(stem)
    pd.testing.assert_frame_equal(rows, ROWS)
    assert found.pop("checksums").keys() == {"toy-8.1-abc.json", "toy-8.1-abc.parquet"}
    assert found == summary
    assert sorted(path.name for path in stem.parent.iterdir()) == ["toy-8.1-abc.json", "toy-8.1-abc.parquet"]


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    save(ROWS, {}, tmp_path / "a")
    save(ROWS.copy(), {}, tmp_path / "b")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_missing_rows_are_an_artefact_error(tmp_path: Path) -> None:
    save(ROWS, {}, tmp_path / "toy")
    for suffix in ("parquet", "json"):
        (tmp_path / f"toy.{suffix}").unlink()
        with pytest.raises(ArtefactError, match=rf"toy\.{suffix}: missing"):
            load(tmp_path / "toy")


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_damaged_rows_are_an_artefact_error(tmp_path: Path, keep: int) -> None:
    save(ROWS, {}, tmp_path / "toy")
    path = tmp_path / "toy.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtefactError, match=r"toy\.parquet: damaged"):
        load(tmp_path / "toy")


def test_rows_whose_pages_were_altered_are_an_artefact_error(tmp_path: Path) -> None:
    save(ROWS, {}, tmp_path / "toy")
    path = tmp_path / "toy.parquet"
    content = bytearray(path.read_bytes())
    for i in range(4, 300):
        content[i] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match=r"toy\.parquet"):
        load(tmp_path / "toy")


def test_rows_with_other_columns_are_an_artefact_error(tmp_path: Path) -> None:
    save(ROWS, {}, tmp_path / "toy")
    table = pq.read_table(tmp_path / "toy.parquet")
    pq.write_table(table.drop_columns(["carried"]), tmp_path / "toy.parquet")
    write_record(tmp_path / "toy.json", {}, [tmp_path / "toy.parquet"])
    with pytest.raises(ArtefactError, match="has columns"):
        load(tmp_path / "toy")
