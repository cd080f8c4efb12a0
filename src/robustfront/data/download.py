"""Download official files over HTTP: verified, resumable, never half a file under its final name.

What has arrived so far lies in `<name>.part` beside the target. A cut connection is taken up again from
there by an HTTP range request (RFC 9110, section 14): within one call after a growing pause, and by the next
call. A file gets its final name only once its checksum is right; a wrong download is removed.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests
from filelock import Timeout
from tqdm import tqdm
from urllib3.exceptions import HTTPError

from robustfront.config.datasets.base import File, Source
from robustfront.data.sources import algorithm, checksum
from robustfront.errors import DataError
from robustfront.locks import PATIENCE, lock_at

ATTEMPTS = 4
"""Rounds through all mirrors in a row that may bring nothing new before we give up."""
TIMEOUT = (10.0, 30.0)
"""Seconds to wait for a connection, and for the next bytes."""
CHUNK = 1 << 16
BUSY = (408, 425, 429)
"""Client-error statuses that mean: later."""


class _Cut(Exception):
    """The transfer failed in a way that another attempt may mend."""


class _Unusable(Exception):
    """This mirror does not have the file we want."""


def fetch(source: Source, folder: Path, *, test: bool = True, pause: float = 0.5) -> None:
    """Downloads the files of `source` that are missing in `folder`; without `test` not those for it alone.

    `pause` is the wait in seconds before the second attempt; it doubles each time. Files that are there are
    left as they are, right or wrong. Processes that want the same folder wait for each other.
    Raises DataError, with what to place where by hand, if a file cannot be had from any mirror.
    """

    def missing() -> list[File]:
        needed = source.needed(folder, test=test)
        return [file for file in needed if file in source.files and not (folder / file.name).exists()]

    if not missing():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder), requests.Session() as session:
            for file in missing():
                failures = _download(session, source.mirrors, file, folder, pause)
                if failures:
                    raise DataError(
                        f"{file.name} cannot be downloaded ({'; '.join(failures)}). "
                        + placement(missing(), folder, source.mirrors[:1])
                    )
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: cannot be written: {error.strerror or error}; free the disk or "
            "fix the permissions, then start again"
        ) from error


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Waits, having said so, while another process downloads into `folder`: both want the same files."""
    lock = lock_at(folder / ".lock")
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        print(f"{folder}: waiting for another process that downloads into it", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def placement(files: Sequence[File], folder: Path, mirrors: Sequence[str] = ()) -> str:
    """Says which files to put into which folder, with their checksums, sizes and addresses."""
    lines = [f"Put into {folder}/ and start again:"]
    for file in files:
        lines.append(f"  {file.name}  {algorithm(file.checksum)} {file.checksum}  {file.size} bytes")
        lines.extend(f"    {mirror}{file.name}" for mirror in mirrors)
    return "\n".join(lines)


def _download(
    session: requests.Session, mirrors: Sequence[str], file: File, folder: Path, pause: float
) -> list[str]:
    """Brings one file to its final name; otherwise what went wrong last, for each mirror."""
    part = folder / f"{file.name}.part"
    failures: dict[str, str] = {}
    candidates = list(mirrors)
    furthest = _size(part)
    fruitless = 0
    while candidates and fruitless < ATTEMPTS:
        if fruitless:
            time.sleep(pause * 2 ** (fruitless - 1))
        before = furthest
        for mirror in tuple(candidates):
            resumed = _size(part) > 0
            try:
                _transfer(session, mirror + file.name, part, file)
                found = checksum(part, algorithm(file.checksum))
                if found == file.checksum:
                    part.replace(folder / file.name)
                    return []
                part.unlink()
                problem = f"the download has {algorithm(file.checksum)} {found}, expected {file.checksum}"
                raise (_Cut if resumed else _Unusable)(f"{problem}; it was removed")
            except _Unusable as failure:
                candidates.remove(mirror)
                failures[mirror] = str(failure)
            except _Cut as failure:
                failures[mirror] = str(failure)
            furthest = max(furthest, _size(part))
        fruitless = 0 if furthest > before else fruitless + 1
    return [f"{mirror}{file.name}: {problem}" for mirror, problem in failures.items()]


def _transfer(session: requests.Session, url: str, part: Path, file: File) -> None:
    """Appends to `part` what it lacks of `file`; returns when it is as long as the file."""
    offset = _size(part)
    if offset > file.size:
        part.unlink()
        offset = 0
    if offset == file.size:
        return
    # identity: some servers would label a .gz file as a compressed transfer of its content.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            offset = _accepted_offset(response, offset, part, file)
            with (
                part.open("ab" if offset else "wb") as out,
                # disable=None: no bar where nobody watches (log files)
                tqdm(
                    total=file.size,
                    initial=offset,
                    desc=file.name,
                    unit="B",
                    unit_scale=True,
                    unit_divisor=1024,
                    disable=None,
                ) as bar,
            ):
                for chunk in response.raw.stream(CHUNK, decode_content=False):
                    out.write(chunk[: file.size - offset])
                    bar.update(len(chunk))
                    offset += len(chunk)
                    if offset > file.size:
                        break
    except (requests.RequestException, HTTPError) as error:
        raise _Cut(_reason(error)) from error
    if offset > file.size:
        part.unlink()
        raise _Unusable(f"has more than the expected {file.size} bytes")
    if offset < file.size:
        raise _Cut(f"the connection was cut after {offset} of {file.size} bytes")


def _accepted_offset(response: requests.Response, offset: int, part: Path, file: File) -> int:
    """Where in the file the body of this response begins: at `offset`, or at 0 if it is the whole file."""
    status = response.status_code
    if status == 416 and offset:
        part.unlink()
        raise _Cut("the server cannot resume; starting over")
    if status in BUSY or status >= 500:
        raise _Cut(f"HTTP {status} {response.reason}")
    if status not in (200, 206):
        raise _Unusable(f"HTTP {status} {response.reason}")
    if status == 200:
        length = response.headers.get("Content-Length", str(file.size))
        if length != str(file.size):
            raise _Unusable(f"has {length} bytes, expected {file.size}")
        return 0
    content_range = response.headers.get("Content-Range", "")
    if content_range not in (f"bytes {offset}-{file.size - 1}/{total}" for total in (file.size, "*")):
        part.unlink(missing_ok=True)
        raise _Cut(f"the server answered with the wrong range ('{content_range}'); starting over")
    return offset


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _reason(error: Exception) -> str:
    what = "no connection" if isinstance(error, requests.ConnectionError) else "the connection was cut"
    return f"{what} ({type(error).__name__})"
