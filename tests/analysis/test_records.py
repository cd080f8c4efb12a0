import json
import subprocess
import sys

import numpy as np
import pytest

from robustfront.analysis import records
from robustfront.analysis.records import Record
from robustfront.errors import ArtefactError

ABOUT = {"run": "digits-st-s0-00", "analysis": "landscape-000000"}


@pytest.fixture
def record() -> Record:
    generator = np.random.default_rng(0)
    arrays = {
        "surface": generator.normal(size=(2, 3, 4)).astype(np.float32),
        "labels": np.arange(5),
        "fooled": np.array([True, False]),
        "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    }
    return Record(arrays, {"share": 0.25, "plain": {"count": 3, "none": None}}, ABOUT)


def test_what_was_saved_is_loaded(record, tmp_path) -> None:
    records.save(record, tmp_path / "a-b1.5")
    found = records.load(tmp_path / "a-b1.5", ABOUT["run"])
    assert found.facts == record.facts
    assert found.about.pop("checksums").keys() == {"a-b1.5.safetensors", "a-b1.5.json"}
    assert found.about == ABOUT
    assert set(found.arrays) == set(record.arrays)
    for name, array in record.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype


def test_equal_records_are_equal_bytes(record, tmp_path) -> None:
    records.save(record, tmp_path / "1" / "a")
    again = Record(dict(reversed(record.arrays.items())), record.facts, record.about)
    records.save(again, tmp_path / "2" / "a")
    for suffix in ("safetensors", "json"):
        first, second = (tmp_path / folder / f"a.{suffix}" for folder in ("1", "2"))
        assert first.read_bytes() == second.read_bytes()


def test_facts_that_are_no_numbers_are_refused_and_leave_no_json(record, tmp_path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.save(Record(record.arrays, {"share": float("nan")}, ABOUT), tmp_path / "a")
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_missing_or_damaged_file_is_named(suffix, damage, record, tmp_path) -> None:
    records.save(record, tmp_path / "a")
    path = tmp_path / f"a.{suffix}"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:10])
    with pytest.raises(ArtefactError, match=rf"a\.{suffix}: {damage}"):
        records.load(tmp_path / "a", ABOUT["run"])


def test_json_without_facts_is_damaged(record, tmp_path) -> None:
    records.save(record, tmp_path / "a")
    (tmp_path / "a.json").write_text(json.dumps(ABOUT))
    with pytest.raises(ArtefactError, match="no `facts`"):
        records.load(tmp_path / "a", ABOUT["run"])


def test_another_runs_record_is_refused(record, tmp_path) -> None:
    records.save(record, tmp_path / "a")
    with pytest.raises(ArtefactError, match="belongs to run 'digits-st-s0-00'"):
        records.load(tmp_path / "a", "digits-st-s1-00")


def test_records_and_toy_import_no_torch() -> None:
    code = "import sys, robustfront.analysis.records, robustfront.analysis.toy; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
