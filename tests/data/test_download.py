import hashlib
import io
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pytest
from filelock import FileLock

from robustfront.config.datasets.base import File, Source
from robustfront.config.datasets.mnist import OFFICIAL
from robustfront.data.download import fetch
from robustfront.errors import DataError

CONTENT = Random(0).randbytes(300_000)
OTHER = Random(1).randbytes(300_000)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


FILE = File("images.bin", sha256(CONTENT), len(CONTENT))

Answer = Callable[[BaseHTTPRequestHandler, int], None]


class Server:
    """An HTTP server on the loopback device. `answers[path]`: one per request, the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append((self.path, self.headers["Range"]))
                answers = outer.answers.get(self.path, [status(404)])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                offset = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")[1])
                answer(self, offset)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def mirror(self, folder: str = "") -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{folder}"

    def ranges(self) -> list[str | None]:
        return [byte_range for _, byte_range in self.requests]


def status(code: int) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, _offset: int) -> None:
        handler.send_error(code)

    return answer


def serve(content: bytes = CONTENT, *, cut: int | None = None, ranges: bool = True, **headers: str) -> Answer:
    """The content, or its rest from the offset asked for; cut after `cut` of those bytes."""

    def answer(handler: BaseHTTPRequestHandler, offset: int) -> None:
        offset = offset if ranges else 0
        body = content[offset:]
        handler.send_response(206 if offset else 200)
        fields = {"Content-Length": str(len(body))}
        if offset:
            fields["Content-Range"] = f"bytes {offset}-{len(content) - 1}/{len(content)}"
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in fields.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[:cut])
        handler.wfile.flush()
        handler.close_connection = True

    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    yield server
    server.server.shutdown()
    server.server.server_close()


def source(*mirrors: str, files: tuple[File, ...] = (FILE,)) -> Source:
    return Source(mirrors, files)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_download_has_the_bytes_and_leaves_no_part(server, tmp_path):
    server.answers["/images.bin"] = [serve()]
    fetch(source(server.mirror()), tmp_path / "raw" / "deep")
    assert (tmp_path / "raw" / "deep" / "images.bin").read_bytes() == CONTENT
    assert left_in(tmp_path / "raw" / "deep") == ["images.bin"]
    assert server.ranges() == [None]


def test_a_gz_file_labelled_as_encoded_content_is_stored_as_it_is(server, tmp_path):
    server.answers["/images.bin"] = [serve(Content_Encoding="gzip")]
    fetch(source(server.mirror()), tmp_path)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


def test_a_cut_connection_is_resumed_within_the_call(server, tmp_path):
    server.answers["/images.bin"] = [serve(cut=100_000), serve(cut=50_000), serve()]
    fetch(source(server.mirror()), tmp_path, pause=0)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert server.ranges() == [None, "bytes=100000-", "bytes=150000-"]


def test_any_number_of_cuts_is_survived_while_bytes_arrive(server, tmp_path):
    server.answers["/images.bin"] = [serve(cut=30_000)]
    fetch(source(server.mirror()), tmp_path, pause=60)  # a pause would run into the test's time limit
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert len(server.requests) == 10


def test_the_next_call_resumes_what_the_last_one_left(server, tmp_path):
    server.answers["/images.bin"] = [serve(cut=100_000), status(503)]
    with pytest.raises(DataError, match="HTTP 503"):
        fetch(source(server.mirror()), tmp_path, pause=0)
    assert left_in(tmp_path) == ["images.bin.part"]
    assert (tmp_path / "images.bin.part").read_bytes() == CONTENT[:100_000]

    server.requests.clear()
    server.answers["/images.bin"] = [serve()]
    fetch(source(server.mirror()), tmp_path, pause=0)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert server.ranges() == ["bytes=100000-"]


def test_a_complete_part_needs_no_request(server, tmp_path):
    (tmp_path / "images.bin.part").write_bytes(CONTENT)
    fetch(source(server.mirror()), tmp_path)
    assert left_in(tmp_path) == ["images.bin"]
    assert server.requests == []


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.answers["/images.bin"] = [serve(cut=100_000), serve(ranges=False)]
    fetch(source(server.mirror()), tmp_path, pause=0)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert server.ranges() == [None, "bytes=100000-"]


@pytest.mark.parametrize("refusal", [status(416), serve(Content_Range="bytes 0-299999/300000")])
def test_a_server_that_cannot_resume_here_starts_over(server, tmp_path, refusal):
    server.answers["/images.bin"] = [serve(cut=100_000), refusal, serve()]
    fetch(source(server.mirror()), tmp_path, pause=0)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert server.ranges() == [None, "bytes=100000-", None]


def test_a_part_of_something_else_is_dropped_and_fetched_anew(server, tmp_path):
    (tmp_path / "images.bin.part").write_bytes(OTHER[:1000])
    server.answers["/images.bin"] = [serve()]
    fetch(source(server.mirror()), tmp_path, pause=0)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert server.ranges() == ["bytes=1000-", None]


def test_a_part_that_is_too_long_is_dropped(server, tmp_path):
    (tmp_path / "images.bin.part").write_bytes(CONTENT + b"x")
    server.answers["/images.bin"] = [serve()]
    fetch(source(server.mirror()), tmp_path, pause=0)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("code", [404, 403, 410])
def test_mirrors_are_tried_in_order(server, tmp_path, code):
    server.answers["/one/images.bin"] = [status(code)]
    server.answers["/two/images.bin"] = [serve()]
    fetch(source(server.mirror("one/"), server.mirror("two/")), tmp_path, pause=60)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/one/images.bin", "/two/images.bin"]


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.answers["/images.bin"] = [status(500), status(429), serve()]
    fetch(source(server.mirror()), tmp_path, pause=0)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


def test_a_download_with_the_wrong_checksum_is_named_and_removed(server, tmp_path):
    server.answers["/images.bin"] = [serve(OTHER)]
    with pytest.raises(DataError) as error:
        fetch(source(server.mirror()), tmp_path, pause=0)
    for part in ("images.bin", sha256(OTHER), sha256(CONTENT), str(tmp_path), "start again"):
        assert part in str(error.value)
    assert left_in(tmp_path) == []
    assert len(server.requests) == 1


def test_a_mirror_with_the_wrong_content_is_passed_over(server, tmp_path):
    server.answers["/bad/images.bin"] = [serve(OTHER)]
    server.answers["/good/images.bin"] = [serve()]
    fetch(source(server.mirror("bad/"), server.mirror("good/")), tmp_path, pause=60)
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


def test_an_md5_is_as_good_as_a_sha256(server, tmp_path):
    file = File("images.bin", hashlib.md5(CONTENT).hexdigest(), len(CONTENT))
    server.answers["/images.bin"] = [serve()]
    fetch(source(server.mirror(), files=(file,)), tmp_path)
    assert left_in(tmp_path) == ["images.bin"]


def test_a_login_page_is_refused_by_its_length(server, tmp_path):
    server.answers["/images.bin"] = [serve(b"<html>please log in</html>")]
    with pytest.raises(DataError, match="has 26 bytes, expected 300000"):
        fetch(source(server.mirror()), tmp_path, pause=0)
    assert left_in(tmp_path) == []


def test_an_endless_answer_is_refused(server, tmp_path):
    def endless(handler: BaseHTTPRequestHandler, _offset: int) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(1000):
                handler.wfile.write(OTHER)
        except OSError:
            hung_up.set()

    hung_up = threading.Event()
    server.answers["/images.bin"] = [endless]
    with pytest.raises(DataError, match="has more than the expected 300000 bytes"):
        fetch(source(server.mirror()), tmp_path, pause=0)
    assert left_in(tmp_path) == []
    assert hung_up.wait(10)


def test_offline_is_one_error_that_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        mirror = f"http://127.0.0.1:{unused.getsockname()[1]}/data/"
        official = OFFICIAL
        with pytest.raises(DataError) as error:
            fetch(Source((mirror,), official.files), tmp_path / "mnist", pause=0)
    message = str(error.value)
    assert "no connection" in message
    assert f"Put into {tmp_path / 'mnist'}/" in message
    for file in official.files:
        assert re.search(rf"{re.escape(file.name)}  sha256 {file.checksum}  {file.size} bytes", message)
        assert f"{mirror}{file.name}" in message


def test_files_that_are_there_are_left_alone(server, tmp_path):
    (tmp_path / "images.bin").write_bytes(b"put here by hand")
    fetch(source(server.mirror()), tmp_path)
    assert (tmp_path / "images.bin").read_bytes() == b"put here by hand"
    assert server.requests == []


def test_the_official_test_part_is_fetched_only_if_it_is_used(server, tmp_path):
    train = File("train.bin", sha256(CONTENT), len(CONTENT), "train")
    test = File("test.bin", sha256(OTHER), len(OTHER), "test")
    server.answers = {"/train.bin": [serve()], "/test.bin": [serve(OTHER)]}
    both = source(server.mirror(), files=(train, test))
    fetch(both, tmp_path, test=False)
    assert left_in(tmp_path) == ["train.bin"]
    fetch(both, tmp_path, test=True)
    assert left_in(tmp_path) == ["test.bin", "train.bin"]


def test_two_processes_download_a_file_once(server, tmp_path):
    server.answers["/images.bin"] = [serve()]
    threads = [threading.Thread(target=fetch, args=(source(server.mirror()), tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "images.bin").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_process_that_waits_for_another_says_so(server, tmp_path, monkeypatch):
    server.answers["/images.bin"] = [serve()]
    second = threading.Thread(target=fetch, args=(source(server.mirror()), tmp_path))
    told = io.StringIO()  # reading capsys empties it, and may lose what the other thread writes meanwhile
    monkeypatch.setattr(sys, "stderr", told)
    deadline = time.monotonic() + 60
    with FileLock(tmp_path / ".lock"):
        second.start()
        while not told.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.requests
    second.join()
    assert told.getvalue().strip() == f"{tmp_path}: waiting for another process that downloads into it"
    assert (tmp_path / "images.bin").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "raw").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=f"{re.escape(str(tmp_path / 'raw'))}.*: cannot be written"):
        fetch(source(server.mirror()), tmp_path / "raw" / "mnist")
