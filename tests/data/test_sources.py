import hashlib
import re

import pytest

from robustfront.config.datasets import datasets
from robustfront.config.datasets.base import File, Source
from robustfront.data.sources import algorithm
from robustfront.errors import ConfigError

OFFICIAL = {name: kind.official for name, kind in datasets.entries.items() if kind.official}


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_lists_are_well_formed(name):
    official = OFFICIAL[name]
    files = official.files + official.unpacked
    assert len({file.name for file in files}) == len(files)
    assert {"train", "both"} & {file.part for file in official.files}
    for file in files:
        assert re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{64}", file.checksum)
        assert file.size > 1000
    assert all(re.fullmatch(r"https?://\S+/", mirror) for mirror in official.mirrors)


def test_the_official_mnist_list_matches_the_original_files(shared_data):
    for file in OFFICIAL["mnist"].files:
        content = (shared_data / "mnist" / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.checksum)


def test_the_data_readme_lists_every_file_that_is_downloaded(project):
    text = (project / "data" / "README.md").read_text()
    for official in OFFICIAL.values():
        assert official.mirrors[0] in text
        for file in official.files:
            assert f"| `{file.name}` | {file.size} | `{file.checksum}` |" in text


def test_a_folder_needs_the_archive_unless_it_holds_members_instead(tmp_path):
    archive = File("archive", "0" * 32, 1)
    train, test = File("train", "0" * 32, 1, "train"), File("test", "0" * 32, 1, "test")
    source = Source((), (archive,), (train, test))
    assert source.needed(tmp_path, test=True) == (archive,)
    (tmp_path / "train").touch()
    assert source.needed(tmp_path, test=True) == (train, test)
    assert source.needed(tmp_path, test=False) == (train,)
    (tmp_path / "archive").touch()
    assert source.needed(tmp_path, test=False) == (archive,)


def test_the_hash_function_is_told_by_the_length():
    assert (algorithm("0" * 32), algorithm("F" * 64)) == ("md5", "sha256")
    for bad in ("", "0" * 40, "g" * 32):
        with pytest.raises(ConfigError, match="write 64 hex digits"):
            algorithm(bad)
