from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from robustfront import sealed

FACTS = {"run": "x", "numbers": [1, 0.5], "text": 'a "quoted" ü'}
ARRAYS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True])}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "x.safetensors"
    sealed.write(path, safetensors.numpy.save(ARRAYS, metadata=sealed.metadata(FACTS)))
    return path


def test_what_was_written_is_read_by_us_and_by_safetensors_alone(file: Path) -> None:
    content = sealed.read(file)
    assert sealed.facts(content) == FACTS
    for arrays in (safetensors.numpy.load(content), safetensors.numpy.load_file(file)):
        assert {name: array.tolist() for name, array in arrays.items()} == {
            name: array.tolist() for name, array in ARRAYS.items()
        }


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_flipped_bit_passes(file: Path, position: int, bit: int) -> None:
    """Damage to the checksum itself can leave a file without one; then the arrays are whole."""
    content = bytearray(file.read_bytes())
    content[position % len(content)] ^= 1 << bit
    damaged = file.with_name("damaged.safetensors")
    damaged.write_bytes(content)
    try:
        arrays = safetensors.numpy.load(sealed.read(damaged))
    except (ValueError, safetensors.SafetensorError):
        return
    assert arrays["a"].tolist() == ARRAYS["a"].tolist()


@given(kept=st.integers(0, 10_000))
def test_no_part_of_a_file_passes(file: Path, kept: int) -> None:
    content = file.read_bytes()
    short = file.with_name("short.safetensors")
    short.write_bytes(content[: kept % len(content)])
    with pytest.raises(ValueError, match=r"checksum|whole"):
        sealed.read(short)


def test_equal_contents_are_equal_bytes_and_others_are_not(tmp_path: Path) -> None:
    contents = set()
    for attempt, value in enumerate([1.0, 1.0, 2.0]):
        path = tmp_path / str(attempt)
        arrays = {"a": np.full(3, value)}
        sealed.write(path, safetensors.numpy.save(arrays, metadata=sealed.metadata(FACTS)))
        contents.add(path.read_bytes())
    assert len(contents) == 2


def test_a_file_from_elsewhere_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file(ARRAYS, path)
    assert sealed.read(path) == path.read_bytes()
