from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

from robustfront.checksums import write_record
from robustfront.config.evaluations import Evaluation
from robustfront.errors import ArtefactError
from robustfront.evaluation.outcomes import (
    Evaluated,
    fell,
    file,
    is_complete,
    load,
    rate,
    record,
    save,
    worst_case,
)
from robustfront.evaluation.statistics import wilson

PGD = Evaluation.model_validate(
    {"attack": {"kind": "pgd", "steps": 2, "step_size": 0.1}, "threat": {"eps": 0.1}}
)
MASKING = Evaluation.model_validate({"attack": {"kind": "masking"}, "threat": {"eps": 0.1}})


def rows_of(fell: dict[str, list[bool]]) -> pd.DataFrame:
    parts = []
    for outcome, success in fell.items():
        n = len(success)
        part = {
            "sample": np.arange(n),
            "outcome": outcome,
            "label": 0,
            "prediction": np.array(success, dtype=np.int64),
        }
        part |= {"loss": np.linspace(0, 1, n, dtype=np.float32), "success": success, "carried": False}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


ROWS = rows_of({"final": [True, True, False, False, True], "step-1": [True, False, True, False, False]})
IMAGES = {
    "samples": np.arange(2),
    "final": np.ones((2, 1, 3, 3), np.float32),
    "step-1": np.zeros((2, 1, 3, 3), np.float32),
}
MADE_FROM = {"runs/a-1/model.safetensors": "00"}
EVALUATED = Evaluated(ROWS, IMAGES, {"run": "a-1", "made_from": MADE_FROM})


def files(stem: Path, evaluation: Evaluation) -> list[Path]:
    return [file(stem, suffix) for suffix in evaluation.suffixes]


def test_what_fell_is_indexed_by_sample() -> None:
    assert fell(ROWS, "step-1").to_dict() == {0: True, 1: False, 2: True, 3: False, 4: False}
    assert fell(ROWS).sum() == 3


def test_a_rate_has_its_interval() -> None:
    low, high = wilson(3, 5)
    assert rate(fell(ROWS)) == {"n": 5, "errors": 3, "error": 0.6, "low": low, "high": high}


def test_the_worst_case_joins_what_all_attacks_saw() -> None:
    shorter = fell(ROWS, "step-1")[:4]
    assert worst_case([fell(ROWS), shorter]).to_dict() == {0: True, 1: True, 2: True, 3: False}
    assert worst_case([shorter]).equals(shorter)


def test_rows_images_and_record_survive_a_round_trip(tmp_path: Path) -> None:
    stem = tmp_path / "eval" / "pgd-8.1-abc"
    save(EVALUATED, stem)
    rows, found = load(stem)
    pd.testing.assert_frame_equal(rows, ROWS)
    assert found == record(stem)
    names = ["pgd-8.1-abc.parquet", "pgd-8.1-abc.safetensors", "pgd-8.1-abc.json"]
    assert found.pop("checksums").keys() == set(names)
    assert found == EVALUATED.record
    images = load_file(stem.parent / names[1])
    assert images.keys() == IMAGES.keys()
    assert all(np.array_equal(images[name], IMAGES[name]) for name in IMAGES)
    assert [path.name for path in files(stem, PGD)] == names
    assert sorted(stem.parent.iterdir()) == sorted(files(stem, PGD))


def test_verdicts_on_masking_are_a_record_alone(tmp_path: Path) -> None:
    save(Evaluated(None, None, {"masking": []}), tmp_path / "masking-abc")
    assert [*tmp_path.iterdir()] == files(tmp_path / "masking-abc", MASKING)
    assert record(tmp_path / "masking-abc")["masking"] == []


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    save(EVALUATED, tmp_path / "a")
    save(Evaluated(ROWS.copy(), dict(reversed(IMAGES.items())), {}), tmp_path / "b")
    for suffix in ("parquet", "safetensors"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_an_evaluation_is_complete_with_all_its_files_of_this_run_and_these_weights(tmp_path: Path) -> None:
    stem = tmp_path / "pgd-2-abc"
    for path in files(stem, PGD):
        save(EVALUATED, stem)
        assert is_complete(stem, PGD, "a-1", MADE_FROM)
        path.unlink()
        assert not is_complete(stem, PGD, "a-1", MADE_FROM)
    save(EVALUATED, stem)
    assert not is_complete(stem, PGD, "a-2", MADE_FROM)
    assert not is_complete(stem, PGD, "a-1", {"runs/a-1/model.safetensors": "01"})
    for content in ("", "[]", '{"run": "a-1"}', stem.with_suffix(".json").read_text().replace("a-1", "a-2")):
        stem.with_suffix(".json").write_text(content)
        assert not is_complete(stem, PGD, "a-1", MADE_FROM)


def test_a_save_that_is_killed_leaves_no_record_of_other_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    save(EVALUATED, tmp_path / "a")
    monkeypatch.setattr("robustfront.evaluation.outcomes.to_safetensors", killed)
    with pytest.raises(KeyboardInterrupt):
        save(Evaluated(ROWS[:3], IMAGES, EVALUATED.record), tmp_path / "a")
    assert not is_complete(tmp_path / "a", PGD, "a-1", MADE_FROM)
    with pytest.raises(ArtefactError, match=r"a\.json: missing"):
        load(tmp_path / "a")


def test_missing_rows_are_an_artefact_error(tmp_path: Path) -> None:
    save(EVALUATED, tmp_path / "toy")
    for suffix in ("parquet", "json"):
        (tmp_path / f"toy.{suffix}").unlink()
        with pytest.raises(ArtefactError, match=rf"toy\.{suffix}: missing"):
            load(tmp_path / "toy")


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_damaged_rows_are_an_artefact_error(tmp_path: Path, keep: int) -> None:
    save(EVALUATED, tmp_path / "toy")
    path = tmp_path / "toy.parquet"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ArtefactError, match=r"toy\.parquet: damaged"):
        load(tmp_path / "toy")


def test_rows_whose_pages_were_altered_are_an_artefact_error(tmp_path: Path) -> None:
    save(EVALUATED, tmp_path / "toy")
    path = tmp_path / "toy.parquet"
    content = bytearray(path.read_bytes())
    for i in range(4, 300):
        content[i] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match=r"toy\.parquet"):
        load(tmp_path / "toy")


def test_rows_with_other_columns_are_an_artefact_error(tmp_path: Path) -> None:
    save(EVALUATED, tmp_path / "toy")
    table = pq.read_table(tmp_path / "toy.parquet")
    pq.write_table(table.drop_columns(["carried"]), tmp_path / "toy.parquet")
    write_record(tmp_path / "toy.json", {}, [tmp_path / "toy.parquet"])
    with pytest.raises(ArtefactError, match="has columns"):
        load(tmp_path / "toy")
