"""The benchmark runs and writes its page; its numbers are not looked at here."""

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import textbook, timing
from robustfront import attacks
from robustfront.attacks import Ball
from robustfront.config.schema import Threat
from toy_models import Convolutional, random_images


def test_quick_benchmark_writes_a_page_and_a_table(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1", "--threads", "1"]
    subprocess.run([*command, "--out", tmp_path], cwd=project, check=True, capture_output=True)
    with (tmp_path / "cpu.csv").open() as file:
        rows = list(csv.DictReader(file))
    ours = [row for row in rows if row["name"] == "ours, bf16"]
    assert len(ours) == 3
    assert all(float(row["median_seconds"]) > 0 and float(row["of_peak"]) > 0 for row in rows)
    by_name = {(row["table"], row["name"]): row for row in rows}
    textbook_row = by_name["TRADES step, 2 attack steps", "textbook loop"]
    row = by_name["TRADES step, 2 attack steps", "ours, bf16"]
    ratio = float(textbook_row["median_seconds"]) / float(row["median_seconds"])
    assert float(row["ratio"]) == pytest.approx(ratio, rel=1e-6)
    page = (tmp_path / "cpu.md").read_text()
    assert all(f"| {row['name']} |" in page for row in rows)


def test_turns_are_alternate_and_all_are_measured() -> None:
    turns: list[str] = []

    def entrant(name: str) -> timing.Contestant:
        return timing.Contestant("table", name, lambda: turns.append(name), 1, 1, 1)

    records = timing.alternate([entrant("a"), entrant("b")], 3, torch.device("cpu"), lambda text: None)
    assert turns == [*"ab", *"ab", *"ba", *"ab"]
    assert all(len(record.seconds) == 3 for record in records.values())


def test_ratio_is_taken_within_rounds() -> None:
    slower, faster = timing.Record([10.0, 40.0, 20.0]), timing.Record([5.0, 10.0, 10.0])
    assert timing.paired_ratio(slower, faster) == 2


def test_memory_is_that_of_the_call() -> None:
    if not timing._status("VmHWM"):
        pytest.skip("needs Linux's /proc")
    held = torch.zeros(10_000_000)
    seconds, memory = timing.measured(
        lambda: time.sleep(torch.ones(20_000_000).min().item() / 100), held.device
    )
    assert seconds >= 0.01
    assert 60e6 < memory < 140e6  # 80 MB; the kernel counts pages in batches


@pytest.mark.parametrize("train", [False, True])
def test_textbook_pgd_is_our_pgd(train: bool) -> None:
    torch.manual_seed(0)
    model = Convolutional().train(train).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    x, y = random_images(6, (3, 5, 4)).double(), torch.arange(6) % 4
    torch.manual_seed(1)
    found = textbook.pgd(model, x, y, eps=0.1, step_size=0.03, steps=4)
    ball = Ball.of(Threat(eps=0.1), model.mean, model.std)
    torch.manual_seed(1)
    start = (x + torch.empty_like(x).uniform_(-0.1, 0.1)).clamp(0, 1)
    expected = start
    for _ in range(4):
        gradient = attacks.input_gradient(model, expected, y)
        expected = ball.project(ball.step(expected, gradient, 0.03), x)
    torch.testing.assert_close(found, expected)
