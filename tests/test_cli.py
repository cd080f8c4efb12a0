import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robustfront import __version__, cli
from robustfront.artefacts import Layout
from robustfront.config.yaml_loader import load_yaml
from robustfront.errors import Interrupted, RobustfrontError
from robustfront.planning import load_plan
from small_params import tree, write
from study_files import write_yaml

HEAVY = {"torch", "torchvision", "timm", "pandas", "numpy", "pydantic", "sklearn", "matplotlib", "dvc"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this process: exit code, standard output, standard error."""

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["robustfront", *map(str, words)])
        try:
            cli.main()
        except SystemExit as leaving:
            code = leaving.code
        else:
            code = 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return write(tmp_path, tree())


def imported_by(code: str) -> set[str]:
    code = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stderr.split())


def test_help_imports_nothing_heavy_and_lists_a_verb_per_stage() -> None:
    code = "sys.argv = ['robustfront', '--help']\nfrom robustfront.cli import main\nmain()"
    assert not imported_by(code) & HEAVY


def test_planning_from_the_command_line_imports_no_torch(params: Path) -> None:
    words = ["robustfront", "--params", str(params), "plan"]
    code = f"sys.argv = {words}\nfrom robustfront.cli import main\nmain()"
    assert not imported_by(code) & (HEAVY - {"pydantic", "numpy"})


def test_devices_are_told_what_was_said_about_compiling_and_arithmetic(
    params: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr("robustfront.training.launch.launch", lambda words, devices: commands.append(words))
    monkeypatch.setenv("ROBUSTFRONT_COMPILE", "1")
    monkeypatch.setenv("ROBUSTFRONT_ARITHMETIC", "bf16")
    name = next(iter(load_plan(params).runs))
    for words in ([], ["--no-compile"]):
        run("--params", params, "train", name, "--device", "cpu", "--devices", "2", *words)
    assert [words[-3:] for words in commands] == [
        ["--compile", "--arithmetic", "bf16"],
        ["--no-compile", "--arithmetic", "bf16"],
    ]


def test_the_module_is_the_command(params: Path) -> None:
    words = [sys.executable, "-m", "robustfront", "--params", str(params), "plan"]
    answer = subprocess.run(words, capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("scale tiny: a test\n")


def test_help_and_version(run: Any) -> None:
    code, out, _ = run("--help")
    verbs = [line.split()[0] for line in out.split("Commands:")[1].strip().splitlines()]
    assert code == 0
    assert {
        "plan",
        "methods",
        "data",
        "train",
        "projector",
        "evaluate",
        "analyse",
        "report",
        "contents",
        "status",
        "why",
        "prune",
        "verify",
        "snapshot",
        "reproduce",
    } <= set(verbs)
    assert run("--version") == (0, f"robustfront, version {__version__}\n", "")


def test_plan_shows_runs_jobs_time_memory_and_disk_and_writes_nothing(run: Any, params: Path) -> None:
    before = {*params.parent.rglob("*")}
    code, out, err = run("--params", params, "--results", params.parent / "results", "plan")
    assert code == 0
    assert all(line.startswith("warning: ") for line in err.splitlines())
    for word in ("npgd", "digits-npgd-pgd-b1.5-s0-", "jobs: ", "time: ", "memory: ", "disk: "):
        assert word in out
    assert {*params.parent.rglob("*")} == before


def test_the_scale_can_be_named(run: Any, params: Path) -> None:
    assert run("--params", params, "--scale", "wide", "plan")[1].startswith("scale wide: another\n")
    code, out, err = run("--params", params, "--scale", "wid", "plan")
    assert (code, out) == (2, "")
    assert err == f"error: {params}: there is no scale 'wid' (did you mean 'wide'?)\n"


def test_plan_warns_of_attacks_that_miss_their_ball_and_goes_on(run: Any, params: Path) -> None:
    code, out, err = run("--params", params, "plan")
    assert code == 0
    assert out.startswith("scale tiny")
    lines = err.splitlines()
    assert len(lines) == 2  # 3 steps of 2/255, of all training attacks and of the suite's
    where = f"warning: {params.parent / 'params' / 'small.yaml'}: scales.tiny"
    assert lines[0].startswith(f"{where}, runs 'at', 'trades', 'npgd' and 1 more: attack: 3 step(s) of 2/255")
    assert lines[1].startswith(f"{where}.suites.pixel.attacks.pgd: 3 step(s) of 2/255 reach no further")


def test_a_plan_can_be_narrowed_to_studies(run: Any, tmp_path: Path) -> None:
    others = {"like": "small", "runs": {"mine": {"method": "trades", "beta": 3, "init": "small/st"}}}
    path = write(tmp_path, tree(), front=others)
    assert "small/npgd" in run("--params", path, "plan")[1]
    code, out, _ = run("--params", path, "--study", "front", "plan")
    assert code == 0
    assert "front/mine" in out
    assert "small/" not in out
    code, _, err = run("--params", path, "--study", "fron", "plan")
    assert (code, err) == (2, f"error: {path}: there is no study 'fron' (did you mean 'front'?)\n")


@pytest.mark.parametrize(
    "verb", [["plan"], ["prepare"], ["data", "d"], ["train", "r"], ["projector", "p"], ["report"]]
)
def test_a_mistake_in_params_is_one_line_and_exit_code_2(verb: list[str], run: Any, tmp_path: Path) -> None:
    path = write(tmp_path, tree(**{"runs/trades/betta": 1}))
    study = tmp_path / "params" / "small.yaml"
    message = f"error: {study}: runs.trades.betta: unknown key (did you mean 'beta'?)\n"
    assert run("--params", path, *verb) == (2, "", message)


def test_a_missing_params_file_is_one_line(run: Any, tmp_path: Path) -> None:
    code, _, err = run("--params", tmp_path / "absent.yaml", "plan")
    assert code == 2
    assert err.startswith(f"error: {tmp_path}/absent.yaml: no such file")
    assert err.count("\n") == 1


def test_unknown_ids_get_a_suggestion(run: Any, params: Path) -> None:
    plan = load_plan(params)
    wanted = next(run for run in plan.runs if "npgd" in run)
    code, _, err = run("--params", params, "train", wanted[:-1] + "x")
    assert code == 2
    assert f"scale 'tiny' has no run '{wanted[:-1]}x' (did you mean '{wanted}'?)" in err
    assert "has no data set 'digit'" in run("--params", params, "data", "digit")[2]
    assert "has no projector" in run("--params", params, "projector", "p")[2]
    assert "has no study 'smal' (did you mean 'small'?)" in run("--params", params, "report", "smal")[2]


def test_a_name_in_place_of_an_id_gets_its_ids(run: Any, params: Path) -> None:
    plan = load_plan(params)
    wanted = next(run for run in plan.runs if "npgd" in run)
    (dataset,) = plan.datasets
    for arguments, known in (
        (("train", "npgd"), wanted),
        (("evaluate", "small/npgd"), wanted),
        (("data", "digits"), dataset),
    ):
        code, _, err = run("--params", params, *arguments)
        assert code == 2
        assert f"'{arguments[-1]}' (that is a name: write its id, {known})" in err


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cuda:-1", "mps", "", "cuda:999"])
def test_a_device_that_is_not_there_is_one_line(device: str, run: Any, params: Path) -> None:
    wanted = next(iter(load_plan(params).runs))
    options = ("--params", params, "--results", params.parent / "results")
    code, _, err = run(*options, "train", wanted, "--device", device)
    assert code == 2
    assert err.startswith(f"error: --device {device}: ")


@pytest.mark.parametrize(
    ("option", "variable", "wanted"), [((), "", False), (("--compile",), "", True), ((), "1", True)]
)
def test_compilation_is_an_option_and_a_variable(
    option: tuple[str, ...],
    variable: str,
    wanted: bool,
    run: Any,
    params: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from robustfront.training import session

    seen: list[bool] = []
    monkeypatch.setattr(session, "train", lambda *arguments: seen.append(arguments[-2]))
    monkeypatch.setenv("ROBUSTFRONT_COMPILE", variable)
    run_id = next(iter(load_plan(params).runs))
    assert run("--params", params, "train", run_id, "--device", "cpu", *option)[0] == 0
    assert seen == [wanted]


@pytest.mark.parametrize(
    ("option", "variable", "wanted"),
    [((), "", None), (("--arithmetic", "fp32"), "bf16", "fp32"), ((), "bf16", "bf16")],
)
def test_arithmetic_is_an_option_and_a_variable(
    option: tuple[str, ...],
    variable: str,
    wanted: str | None,
    run: Any,
    params: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from robustfront.training import session

    seen: list[str | None] = []
    monkeypatch.setattr(session, "train", lambda *arguments: seen.append(arguments[-1]))
    monkeypatch.setenv("ROBUSTFRONT_ARITHMETIC", variable)
    run_id = next(iter(load_plan(params).runs))
    assert run("--params", params, "train", run_id, "--device", "cpu", *option)[0] == 0
    assert seen == [wanted]


def test_wrong_usage_is_clicks_message(run: Any, params: Path) -> None:
    assert run("--params", params, "trian")[0] == 2
    assert run("--params", params, "train")[0] == 2
    assert run("--params", params, "plan", "--quick")[0] == 2


def test_errors_of_ours_keep_their_exit_codes_and_bugs_their_tracebacks(
    run: Any, params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(error: BaseException) -> None:
        def render(*_: object) -> str:
            raise error

        monkeypatch.setattr("robustfront.planning.render.render", render)

    failing(Interrupted("stopped"))
    assert run("--params", params, "plan") == (75, "", "error: stopped\n")
    failing(RobustfrontError("broken"))
    assert run("--params", params, "plan") == (1, "", "error: broken\n")
    failing(KeyboardInterrupt())
    assert run("--params", params, "plan")[0] == 130
    failing(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        run("--params", params, "plan")


def test_prepare_writes_the_config_of_every_run(run: Any, params: Path, tmp_path: Path) -> None:
    assert run("--params", params, "--results", tmp_path / "results", "prepare") == (0, "", "")
    for wanted in load_plan(params).runs:
        content = load_yaml(Layout(tmp_path / "results").run(wanted) / "config.yaml")
        assert content["id"] == wanted


def test_methods_lists_those_of_extensions_even_if_the_rest_of_the_file_is_wrong(
    run: Any, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "from robustfront.config.schema import Config\n"
        "from robustfront.methods.base import Method, register\n"
        "@register('cli_extension', source='a test')\n"
        "class Mine(Method):\n"
        "    '''My own.'''\n"
        "    Params = Config\n"
    )
    path = write_yaml(tmp_path / "params.yaml", {"extensions": ["mine.py"], "scale": 3})
    code, out, _ = run("--params", path, "methods")
    assert code == 0
    assert "cli_extension  (a test)\n  My own." in out
    assert "npgd  (S000" in out
    assert run("--params", tmp_path / "absent.yaml", "methods")[0] == 0


def test_data_is_prepared_and_the_projector_computed_by_their_verbs(
    run: Any, params: Path, tmp_path: Path
) -> None:
    from robustfront.config.images import Normalisation
    from robustfront.models import build, nullspace, weights

    plan, layout = load_plan(params), Layout(tmp_path / "results")
    options = ("--params", params, "--results", layout.results)
    (dataset,) = plan.datasets
    assert run(*options, "data", dataset, "--raw", tmp_path / "raw")[0] == 0
    assert (layout.dataset(dataset) / "manifest.json").is_file()

    (projector,) = plan.projectors.values()
    code, _, err = run(*options, "projector", projector.id)
    assert code == 1
    assert err.startswith("error: ")
    config = plan.runs[projector.run_id].config
    model = build(config.model, channels=1, classes=10, normalisation=Normalisation(mean=(0.3,), std=(0.4,)))
    weights.save_weights(model.state_dict(), layout.run(projector.run_id) / "model.safetensors", {})
    assert run(*options, "projector", projector.id)[0] == 0
    found = nullspace.load(layout.projector(projector.id))
    assert found.rank_tolerance == 1e-5
    assert found.dimension == 32 - 10


@pytest.mark.parametrize(
    ("run_name", "analysis", "message"),
    [
        ("at", "surfaces-000000", "scale 'tiny' has no analysis 'surfaces-000000' (did you mean 'surfaces-"),
        ("at", "surfaces", "has no run in analysis 'surfaces-"),
    ],
)
def test_analyse_refuses_what_is_not_planned(
    run: Any, tmp_path: Path, run_name: str, analysis: str, message: str
) -> None:
    surfaces = {"kind": "landscape", "runs": ["st"], "span": 0.1}
    params = write(tmp_path, tree(**{"defaults/analyses": {"surfaces": surfaces}}))
    plan = load_plan(params)
    wanted = next(iter(plan.analyses)) if analysis == "surfaces" else analysis
    run_id = next(planned.id for planned in plan.runs.values() if planned.is_called(run_name))
    code, _, err = run("--params", params, "analyse", run_id, wanted)
    assert code == 2
    assert message in err
