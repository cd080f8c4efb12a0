import hashlib
import re
from pathlib import Path

import pytest

from robustfront.config.datasets.base import File, Source
from robustfront.config.images import Splits
from robustfront.data.rawfiles import obtain
from robustfront.errors import ConfigError, DataError

TRAIN, TEST = b"training images", b"test images"


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


SOURCE = Source(
    mirrors=("http://mirror.invalid/",),
    files=(File("all.tar.gz", sha256(b"archive"), 7),),
    unpacked=(File("a", sha256(TRAIN), len(TRAIN), "train"), File("b", md5(TEST), len(TEST), "test")),
)
OFFICIAL_TEST = Splits(validation=1)


def write(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def test_files_in_the_raw_folder_are_found_and_verified(dataset, tmp_path):
    folder = write(tmp_path / "cifar10", all_tar_gz=b"archive")
    assert obtain(dataset("cifar10"), tmp_path, SOURCE) == {"all.tar.gz": folder / "all.tar.gz"}


def test_a_wrong_file_put_there_by_hand_is_named_and_kept(dataset, tmp_path):
    folder = write(tmp_path / "cifar10", all_tar_gz=b"damaged")
    with pytest.raises(DataError) as error:
        obtain(dataset("cifar10"), tmp_path, SOURCE)
    for part in (
        str(folder / "all.tar.gz"),
        sha256(b"damaged"),
        sha256(b"archive"),
        "delete it and start again",
    ):
        assert part in str(error.value)
    assert (folder / "all.tar.gz").read_bytes() == b"damaged"


def test_an_own_folder_may_hold_the_archive_or_its_members(dataset, tmp_path):
    loose = write(tmp_path / "loose", a=TRAIN, b=TEST)
    packed = write(tmp_path / "packed", all_tar_gz=b"archive", a=b"ignored beside the archive")
    for folder, names in ((loose, ["a", "b"]), (packed, ["all.tar.gz"])):
        config = dataset("cifar10", path=str(folder), splits=OFFICIAL_TEST)
        assert obtain(config, tmp_path, SOURCE) == {name: folder / name for name in names}


def test_the_official_test_file_is_not_needed_when_the_test_is_held_out(dataset, tmp_path):
    folder = write(tmp_path / "own", a=TRAIN)
    assert list(obtain(dataset("cifar10", path=str(folder)), tmp_path, SOURCE)) == ["a"]
    with pytest.raises(DataError, match="lacks b"):
        obtain(dataset("cifar10", path=str(folder), splits=OFFICIAL_TEST), tmp_path, SOURCE)


def test_an_own_folder_is_checked_against_the_official_list_unless_checksums_are_given(dataset, tmp_path):
    folder = write(tmp_path / "own", a=b"my own version")
    with pytest.raises(
        DataError, match=r"own/a: sha256 is .* list your own files' checksums in dataset images"
    ):
        obtain(dataset("cifar10", path=str(folder)), tmp_path, SOURCE)
    for digest in (md5(b"my own version"), sha256(b"my own version"), sha256(b"my own version").upper()):
        config = dataset("cifar10", path=str(folder), checksums={"a": digest})
        assert obtain(config, tmp_path, SOURCE) == {"a": folder / "a"}


def test_own_checksums_are_binding_and_complete(dataset, tmp_path):
    folder = write(tmp_path / "own", a=TRAIN)
    with pytest.raises(
        DataError, match=r"own/a: md5 is .* correct its entry in the checksums of dataset images"
    ):
        obtain(dataset("cifar10", path=str(folder), checksums={"a": md5(b"else")}), tmp_path, SOURCE)
    with pytest.raises(ConfigError, match="checksums list no a"):
        obtain(dataset("cifar10", path=str(folder), checksums={}), tmp_path, SOURCE)
    with pytest.raises(ConfigError, match="checksum 'abc': write 64 hex digits"):
        obtain(dataset("cifar10", path=str(folder), checksums={"a": "abc"}), tmp_path, SOURCE)


def test_nothing_is_downloaded_into_an_own_folder(dataset, tmp_path):
    empty = write(tmp_path / "own")
    with pytest.raises(DataError) as error:
        obtain(dataset("cifar10", path=str(empty)), tmp_path, SOURCE)
    for part in (f"{empty} lacks all.tar.gz", sha256(b"archive"), "http://mirror.invalid/all.tar.gz"):
        assert part in str(error.value)
    assert list(empty.iterdir()) == []


def test_a_missing_member_is_not_asked_of_the_mirrors(dataset, tmp_path):
    write(tmp_path / "cifar10", a=TRAIN)
    with pytest.raises(DataError, match=rf"lacks b\. Put into .*\n  b  md5 {md5(TEST)}  11 bytes$"):
        obtain(dataset("cifar10", splits=OFFICIAL_TEST), tmp_path, SOURCE)


def test_digits_need_no_file(dataset, tmp_path):
    assert obtain(dataset("digits"), tmp_path / "raw", SOURCE) == {}
    assert not (tmp_path / "raw").exists()


def test_npz_checksum_is_optional_but_binding(dataset, tmp_path):
    path = write(tmp_path, own_npz=b"arrays") / "own.npz"
    assert obtain(dataset("npz", path=str(path)), tmp_path, None) == {"own.npz": path}
    right, wrong = {"own.npz": sha256(b"arrays")}, {"own.npz": sha256(b"else")}
    assert obtain(dataset("npz", path=str(path), checksums=right), tmp_path, None) == {"own.npz": path}
    with pytest.raises(DataError, match=r"own\.npz: sha256 is"):
        obtain(dataset("npz", path=str(path), checksums=wrong), tmp_path, None)
    with pytest.raises(DataError, match=r"other\.npz does not exist"):
        obtain(dataset("npz", path=str(tmp_path / "other.npz")), tmp_path, None)


@pytest.mark.parametrize(
    ("source", "fields", "message"),
    [
        ("npz", {}, "source npz needs path"),
        ("digits", {"path": "somewhere"}, "remove path"),
        ("cifar10", {"checksums": {"a": "0" * 32}}, "give their folder as path"),
    ],
)
def test_path_and_checksums_that_do_not_fit_the_source_are_config_errors(source, fields, message, dataset):
    with pytest.raises(ConfigError, match=f"dataset images: .*{re.escape(message)}"):
        obtain(dataset(source, **fields), Path("raw"), None if source == "npz" else SOURCE)
