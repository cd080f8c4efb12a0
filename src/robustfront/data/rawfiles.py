"""The raw files a data set is made from, each verified before anything reads it."""

from pathlib import Path

from robustfront.config.datasets.base import Dataset, Source
from robustfront.data.sources import algorithm, checksum
from robustfront.errors import ConfigError, DataError


def obtain(dataset: Dataset, raw: Path, official: Source | None) -> dict[str, Path]:
    """File name -> path of what this data set needs, downloaded into `raw/<source>` if need be.

    With `dataset.path` nothing is downloaded: the files are the user's. Checksums are the official ones, or
    `dataset.checksums`, which then must list every file; for the user's own they may be left out, and if
    `path` is a folder it is all files in it. Empty for images that come with a package.
    Raises DataError if files are missing or wrong (a file found there is never deleted), ConfigError if
    `path` and `checksums` do not fit the source.
    """
    own = None if dataset.path is None else Path(dataset.path).expanduser()
    if dataset.checksums is not None and own is None:
        raise ConfigError(
            f"dataset {dataset.name}: checksums are for your own files; give their folder as path"
        )
    if dataset.come_with is not None:
        if own is not None:
            raise ConfigError(
                f"dataset {dataset.name}: {dataset.source} come with {dataset.come_with}; remove path"
            )
        return {}
    checksums: dict[str, str] | None
    if official is not None:
        files, checksums = _original_files(dataset, own, raw, official)
    else:
        if own is None:
            raise ConfigError(
                f"dataset {dataset.name}: source {dataset.source} needs path, the file with your images"
            )
        if not own.exists():
            raise DataError(
                f"dataset {dataset.name}: {own} does not exist; correct path or put the file there"
            )
        files, checksums = _own_files(own), dataset.checksums
    if checksums is not None:
        for name, path in files.items():
            _verify(path, checksums.get(name), dataset)
    return files


def _own_files(path: Path) -> dict[str, Path]:
    """A file by its name, or those in a folder, at any depth, by their names from there on."""
    if path.is_file():
        return {path.name: path}
    return {file.relative_to(path).as_posix(): file for file in sorted(path.rglob("*")) if file.is_file()}


def _original_files(
    dataset: Dataset, own: Path | None, raw: Path, source: Source
) -> tuple[dict[str, Path], dict[str, str]]:
    """Paths and checksums of the files in the authors' format, all of them present."""
    from robustfront.data.download import fetch, placement  # its `requests` would slow every job's start

    test = dataset.splits.test == "official"
    folder = own or raw / dataset.source
    if own is None:
        fetch(source, folder, test=test)
    needed = source.needed(folder, test=test)
    missing = [file for file in needed if not (folder / file.name).is_file()]
    if missing:
        advice = "Put it there and start again"
        if dataset.checksums is None:
            advice = placement(missing, folder, source.mirrors if missing[0] in source.files else ())
        names = ", ".join(file.name for file in missing)
        raise DataError(f"dataset {dataset.name}: {folder} lacks {names}. {advice}")
    official = {file.name: file.checksum for file in needed}
    files = {file.name: folder / file.name for file in needed}
    return files, official if dataset.checksums is None else dataset.checksums


def _verify(path: Path, expected: str | None, dataset: Dataset) -> None:
    """DataError unless the file's content has the expected checksum."""
    if expected is None:
        raise ConfigError(
            f"dataset {dataset.name}: checksums list no {path.name}, which {path.parent} must hold"
        )
    kind = algorithm(expected)
    try:
        found = checksum(path, kind)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if found == expected.lower():
        return
    if dataset.checksums is not None:
        remedy = f"give the right file, or correct its entry in the checksums of dataset {dataset.name}"
    elif dataset.path is not None:
        remedy = f"give the official file, or list your own files' checksums in dataset {dataset.name}"
    else:
        remedy = "delete it and start again to download it"
    raise DataError(f"{path}: {kind} is {found}, expected {expected}; {remedy}")
