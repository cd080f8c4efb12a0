import re
from pathlib import Path
from typing import Any

import pytest

from robustfront.artefacts import Layout, write_text
from robustfront.config.yaml_loader import load_yaml
from robustfront.methods import methods
from robustfront.planning import load_plan
from robustfront.planning.files import write_configs
from robustfront.planning.render import COLUMNS, render, render_methods
from small_params import tree, write


@pytest.fixture
def shown(tmp_path: Path) -> Any:
    """The rendered plan of the small file, as the rows of its table by run and as the lines below it."""

    def make(**edits: Any) -> tuple[dict[str, dict[str, str]], str]:
        text = render(load_plan(write(tmp_path, tree(**edits))), tmp_path)
        head, table, totals = text.split("\n\n")
        assert re.fullmatch(r"scale tiny: a test\nstudies: small \(\d runs\)", head)
        names, _, *rows = table.split("\n")
        assert names.split() == list(COLUMNS)
        cells = [[cell.strip() for cell in row.split("  ") if cell.strip()] for row in rows]
        return {row[0].replace("small/", ""): dict(zip(COLUMNS, row, strict=True)) for row in cells}, totals

    return make


def test_the_table_has_a_row_per_run_with_what_it_takes(shown: Any) -> None:
    rows, _ = shown()
    assert list(rows) == ["st", "lse", "at", "trades", "npgd", "npda"]
    assert rows["npgd"]["method"] == "npgd"
    assert (rows["at"]["data"], rows["at"]["seed"], rows["at"]["epochs"]) == ("digits", "0", "2")
    assert rows["at"]["state"] == "to do"
    assert rows["at"]["id"].startswith("digits-pgd-at-s0-")


def test_the_totals_name_jobs_time_memory_and_disk(shown: Any) -> None:
    _, totals = shown(**{"scales/tiny/throughput": {"gflops": 1e-4, "jobs": 4}})
    jobs, time, shares, memory, disk = totals.split("\n")
    assert jobs == (
        "jobs: 1 data sets, 6 trainings, 1 projectors, 6 evaluations (24 attacks and checks), 0 analyses"
    )
    assert time.startswith("time: at most ")
    assert time.endswith("with 4 job(s) at a time, at 0.0001 GFLOP/s each (scales.tiny.throughput)")
    whole, quarter = (float(time.split()[index]) for index in (3, 7))
    assert whole == pytest.approx(4 * quarter, rel=0.01)
    assert shares.startswith("  of which training with its validation ")
    assert shares.endswith("analyses 0 s, starting jobs and the report 2 min; downloads come on top")
    assert memory.startswith("memory: ")
    assert disk.startswith("disk: ")
    assert "MB" in memory
    assert "MB" in disk


def test_the_studies_are_listed_and_those_without_the_scale(tmp_path: Path) -> None:
    front = {"like": "small", "runs": {"st": "small/st", "more": tree()["runs"]["trades"] | {"beta": 9}}}
    wide = tree()["defaults"] | {"datasets": ["mnist"]}
    path = write(tmp_path, tree(), front=front, other={"runs": tree()["runs"], "scales": {"wide": wide}})
    text = render(load_plan(path), tmp_path)
    assert text.split("\n")[1] == "studies: small (6 runs), front (2 runs); without this scale: other"
    assert "\nsmall/st, front/st  " in text
    assert "\nfront/more  " in text


def test_the_state_follows_the_artefacts(shown: Any, tmp_path: Path) -> None:
    rows, _ = shown()
    layout = Layout(tmp_path)
    write_text(layout.run(rows["st"]["id"]) / "manifest.json", "{}")
    assert shown()[0]["st"]["state"] == "trained"
    *most, last = load_plan(tmp_path / "params.yaml").evaluations[rows["st"]["id"]]
    for evaluation in most:
        write_text(layout.run(rows["st"]["id"]) / "eval" / f"{evaluation}.json", "{}")
    assert shown()[0]["st"]["state"] == "trained"
    write_text(layout.run(rows["st"]["id"]) / "eval" / f"{last}.json", "{}")
    states = {name: row["state"] for name, row in shown()[0].items()}
    assert states == dict.fromkeys(states, "to do") | {"st": "done"}


def test_runs_on_own_images_are_shown_without_numbers(shown: Any) -> None:
    own = {"source": "npz", "path": "x.npz", "splits": {"validation": 10}}
    rows, totals = shown(**{"datasets/digits": tree()["datasets"]["digits"] | own})
    assert (rows["st"]["train"], rows["st"]["evaluate"]) == ("?", "?")
    assert "memory: ? for the largest job" in totals
    assert totals.endswith("not estimated: 6 run(s) on images, of networks or by methods of your own")


def test_a_run_needed_by_others_alone_and_shared_names_are_marked(shown: Any) -> None:
    rows, _ = shown(**{"scales/tiny/runs": ["at", "trades", "twin"], "runs/twin": tree()["runs"]["trades"]})
    assert list(rows) == ["(needed by others)", "at", "trades, twin"]


def test_each_method_is_listed_with_its_source_and_parameters() -> None:
    blocks = dict(zip(sorted(methods.entries), render_methods(methods).split("\n\n"), strict=True))
    assert blocks["npgd"].startswith("npgd  (S000 section 3.2, Algorithm 2)\n  Null-space projected gradient")
    assert "\n    beta  weight of" in blocks["npgd"]
    assert "\n    bias = frozen  " in blocks["npgd"]
    assert "\n    threat\n" in blocks["npgd"]


def test_config_files_say_what_an_id_stands_for(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, tree()))
    write_configs(plan, tmp_path / "results")
    layout = Layout(tmp_path / "results")
    for run in plan.runs.values():
        content = load_yaml(layout.run(run.id) / "config.yaml")
        assert content == {
            "id": run.id,
            "dataset_id": run.dataset_id,
            "run": run.config.model_dump(mode="json"),
        }
        assert type(run.config).model_validate(content["run"]) == run.config


def test_config_files_that_exist_are_left_alone(tmp_path: Path) -> None:
    plan = load_plan(write(tmp_path, tree()))
    write_configs(plan, tmp_path)
    files = sorted(tmp_path.rglob("config.yaml"))
    before = [file.stat().st_mtime_ns for file in files]
    write_configs(plan, tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert len(files) == 6
