import json
from pathlib import Path

import pytest

from robustfront import artefacts, checksums
from robustfront.errors import ArtefactError

CONTENT = {"run": "a-run", "nested": {"share": 0.1, "none": None}, "list": (1, 2.5e-300), "name": "ü"}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """A record that vouches for two files, one in a folder below."""
    (tmp_path / "below").mkdir()
    for name in ("model.bin", "below/rows.bin"):
        (tmp_path / name).write_text(name)
    path = tmp_path / "record.json"
    checksums.write_record(path, CONTENT, [tmp_path / "model.bin", tmp_path / "below" / "rows.bin"])
    return path


def differing(path: Path) -> list[str]:
    return checksums.differing(path, artefacts.read_json(path))


def test_an_untouched_record_and_its_files_agree(record: Path) -> None:
    assert differing(record) == []
    found = checksums.recorded(artefacts.read_json(record))
    assert found.keys() == {"record.json", "model.bin", "below/rows.bin"}
    assert found["model.bin"] == artefacts.sha256(record.parent / "model.bin")


def test_reformatting_a_record_changes_nothing(record: Path) -> None:
    record.write_text(json.dumps(artefacts.read_json(record), indent=7))
    assert differing(record) == []


@pytest.mark.parametrize("name", ["model.bin", "below/rows.bin"])
def test_an_altered_or_missing_file_is_named(record: Path, name: str) -> None:
    path = record.parent / name
    path.write_text("other")
    assert differing(record) == [name]
    path.unlink()
    assert differing(record) == [name]


@pytest.mark.parametrize("edit", [{"run": "b-run"}, {"nested": {"share": 0.2, "none": None}}, {"new": 1}])
def test_an_edited_record_is_named(record: Path, edit: dict) -> None:
    record.write_text(json.dumps(artefacts.read_json(record) | edit))
    assert differing(record) == ["record.json"]


def test_a_record_whose_entry_for_a_file_was_edited_disagrees_twice(record: Path) -> None:
    content = artefacts.read_json(record)
    content["checksums"]["model.bin"] = "0" * 64
    record.write_text(json.dumps(content))
    assert differing(record) == ["model.bin", "record.json"]


@pytest.mark.parametrize(
    ("key", "file"), [("weights_sha256", "model.safetensors"), ("images_sha256", "images.safetensors")]
)
def test_a_record_of_before_is_understood(key: str, file: str, tmp_path: Path) -> None:
    assert checksums.recorded({key: "abc"}) == {file: "abc"}
    assert checksums.recorded({"run": "a-run"}) == {}
    (tmp_path / file).write_text("x")
    path = tmp_path / "manifest.json"
    assert checksums.differing(path, {key: artefacts.sha256(tmp_path / file)}) == []
    assert checksums.differing(path, {key: "abc"}) == [file]


def test_what_is_made_from_what_is_told_by_path_below_results(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_text("weights")
    assert checksums.made_from(tmp_path, [path]) == {"runs/a/model.safetensors": artefacts.sha256(path)}


def test_a_record_is_read_with_the_files_that_are_wanted(record: Path) -> None:
    assert checksums.read_record(record)["run"] == "a-run"
    assert checksums.read_record(record, "model.bin")["name"] == "ü"
    (record.parent / "model.bin").write_text("other")
    checksums.read_record(record)
    message = r"model\.bin: damaged \(its checksum is not the one in record\.json\); delete it and run"
    with pytest.raises(ArtefactError, match=message):
        checksums.read_record(record, "model.bin")
    (record.parent / "model.bin").unlink()
    with pytest.raises(ArtefactError, match=r"model\.bin: missing; run `snakemake` to make it"):
        checksums.read_record(record, "model.bin")


def test_no_flipped_bit_of_a_record_changes_what_is_read(record: Path) -> None:
    right = checksums.read_record(record)
    content = record.read_bytes()
    for position in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[position // 8] ^= 1 << position % 8
        record.write_bytes(flipped)
        try:
            found = checksums.read_record(record)
        except ArtefactError:
            continue
        # white space, the checksum of a file nobody asked for, or the name of its key
        assert {**found, "checksums": 0} == {**right, "checksums": 0} or "checksums" not in found


def test_an_amended_record_vouches_for_the_same_bytes(tmp_path: Path) -> None:
    file, record = tmp_path / "file", tmp_path / "record.json"
    file.write_text("as it was")
    checksums.write_record(record, {"fact": 1}, [file])
    file.write_text("damaged since")
    checksums.amend(record, fact=2, more=[3])
    content = checksums.read_record(record)
    assert (content["fact"], content["more"]) == (2, [3])
    with pytest.raises(ArtefactError, match="file: damaged"):
        checksums.read_record(record, "file")


def test_a_damaged_record_is_not_amended(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    checksums.write_record(record, {"fact": 1}, [])
    record.write_text(record.read_text().replace('"fact": 1', '"fact": 2'))
    with pytest.raises(ArtefactError, match="damaged"):
        checksums.amend(record, more=3)


def test_an_image_store_is_what_its_manifest_says(tmp_path: Path) -> None:
    images = tmp_path / "datasets" / "a" / "images.safetensors"
    images.parent.mkdir(parents=True)
    images.write_text("images")
    without = checksums.made_from(tmp_path, [images])
    checksums.write_record(images.parent / "manifest.json", {}, [images])
    assert checksums.made_from(tmp_path, [images]) == without
    images.write_text("not looked at")
    assert checksums.made_from(tmp_path, [images]) == without
