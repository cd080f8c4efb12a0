import pytest
from test_status import made_by_other_code

from robustfront.artefacts import write_text
from robustfront.checksums import amend
from robustfront.errors import ConfigError
from robustfront.upkeep.why import why


def reason(project, name: str) -> str:
    (found,) = why(project.plan, project.layout, name)
    run, _, text = found.partition(": ")
    assert run == (name if project.layout.run(name).exists() else project.id(name))
    return text


def test_a_finished_run_is_not_redone(finished_project) -> None:
    assert reason(finished_project, "trades").startswith("will not be redone: it is finished, and its id is")
    assert reason(finished_project, finished_project.id("trades")).startswith("will not be redone")


def test_an_edit_is_named_with_both_values(finished_project) -> None:
    before = finished_project.id("trades")
    finished_project.edit(**{"runs/trades/beta": 2.0})
    assert reason(finished_project, "trades") == (
        f"will be trained: beta 1.5 -> 2 makes a new id; the nearest one is {before}"
    )


def test_a_new_start_is_named(finished_project) -> None:
    before = finished_project.id("st")
    finished_project.edit(**{"runs/st/loss": "lse", "runs/lse/loss": "ce"})
    assert reason(finished_project, "at").startswith("will be trained: init ")
    finished_project.edit(**{"runs/st/training": {"epochs": 3}})
    text = reason(finished_project, "at")
    assert f"init {before} -> {finished_project.id('st')}" in text
    assert text.endswith("; its start small/st is not trained either")


def test_many_differences_are_cut(finished_project) -> None:
    finished_project.edit(
        **{
            "defaults/training/standard": {
                "epochs": 3,
                "batch_size": 8,
                "optimizer": {"lr": 0.2, "momentum": 0.1},
                "schedule": {"kind": "cosine"},
            }
        }
    )
    assert " more makes a new id" in reason(finished_project, "st")


@pytest.mark.parametrize("file", ["model.safetensors", "manifest.json"])
def test_a_missing_file_is_named(finished_project, file: str) -> None:
    folder = finished_project.layout.run(finished_project.id("at"))
    (folder / file).unlink()
    assert reason(finished_project, "at") == f"will be trained again: {file} of {folder} is missing"


def test_a_checkpoint_is_gone_on_with(finished_project) -> None:
    run = finished_project.id("at")
    for path in finished_project.layout.run(run).glob("*.*"):
        path.unlink()
    write_text(finished_project.layout.checkpoint(run) / "checkpoint.safetensors", "x")
    assert reason(finished_project, "at").startswith("will be trained on from its checkpoint in checkpoints/")


def test_other_code_is_told_with_the_way_out(finished_project) -> None:
    made_by_other_code(finished_project, "at")
    text = reason(finished_project, "at")
    assert "by other code (sources 0123456789abcdef, now " in text
    assert "`robustfront prune --stale --yes`" in text


def test_evaluations_of_other_code_or_weights_are_told(finished_project) -> None:
    path = finished_project.eval(f"{finished_project.evaluation('pgd-3')}.json", "at")
    model = f"runs/{finished_project.id('at')}/model.safetensors"
    told = "will not be redone unasked, but {path} was made {how}; `robustfront prune --stale --yes`"
    amend(path, sources="0123456789abcdef")
    assert reason(finished_project, "at").startswith(told.format(path=path, how="by other code"))
    assert reason(finished_project, "st").startswith("will not be redone: it is finished")
    amend(path, made_from={model: "0" * 64})
    assert reason(finished_project, "at").startswith(told.format(path=path, how=f"from another {model}"))


def test_a_missing_evaluation_is_made_alone(finished_project) -> None:
    evaluation = finished_project.evaluation("pgd-3")
    finished_project.eval(f"{evaluation}.parquet", "at").unlink()
    assert reason(finished_project, "at") == f"is trained and stays so; evaluation {evaluation} will be made"


def test_an_orphan_and_a_stranger(finished_project) -> None:
    before = finished_project.id("trades")
    finished_project.edit(**{"runs/trades": ...})
    assert reason(finished_project, before) == "will not be redone: scale 'tiny' does not ask for it"
    with pytest.raises(ConfigError, match=r"has no run 'npg' \(did you mean 'npgd'\?\)"):
        why(finished_project.plan, finished_project.layout, "npg")


def test_the_study_may_be_named(finished_project) -> None:
    assert reason(finished_project, "small/at").startswith("will not be redone")
    with pytest.raises(ConfigError, match=r"has no run 'smal/at' \(did you mean 'small/at'\?\)"):
        why(finished_project.plan, finished_project.layout, "smal/at")


def test_a_name_that_two_studies_give_to_different_runs_is_told_of_both(finished_project) -> None:
    before = finished_project.id("at")
    finished_project.add_study("second", **{"runs/at/training": {"epochs": 3}})
    first, second = why(finished_project.plan, finished_project.layout, "at")
    assert first.startswith(f"{before} (small/at): will not be redone")
    assert " (second/at): will be trained: training.epochs 2 -> 3 makes a new id" in second
    assert why(finished_project.plan, finished_project.layout, "second/at") == [
        second.replace(" (second/at)", "")
    ]


def test_a_run_that_two_studies_share_is_one(finished_project) -> None:
    finished_project.add_study("second")
    assert reason(finished_project, "second/at") == reason(finished_project, "small/at")
    (line,) = why(finished_project.plan, finished_project.layout, "at")
    assert line.startswith(f"{finished_project.id('at')}: will not be redone")
