"""The command line: one verb per pipeline stage.

Heavy imports happen inside the verbs, after the plan is made: help, and a mistake in params.yaml, are quick.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from robustfront import __version__
from robustfront.cli import upkeep
from robustfront.cli.options import Options
from robustfront.errors import Interrupted, ReportIncomplete, RobustfrontError
from robustfront.jobs import remembered

if TYPE_CHECKING:
    from types import FrameType

    from robustfront.config.schema import Precision

STOPPED = "error: stopped; finished work is kept: run the same command again to go on"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="robustfront")
@click.option(
    "--params", type=click.Path(path_type=Path), default=Path("params.yaml"), help="The file of numbers."
)
@click.option("--scale", default=None, help="Which scale; by default the one params.yaml selects.")
@click.option("--study", "studies", multiple=True, help="Make and report this study alone; may be repeated.")
@click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), help="Where artefacts lie."
)
@click.pass_context
def cli(
    context: click.Context, params: Path, scale: str | None, studies: tuple[str, ...], results: Path
) -> None:
    """Train, attack and compare adversarially robust networks. `snakemake` calls these verbs for you."""
    context.obj = Options(params, scale, studies, results)


@cli.command()
@click.option("--scale", default=None, help="Which scale; as before the verb.")
@click.pass_obj
def plan(options: Options, scale: str | None) -> None:
    """Print the runs, jobs, and an estimate of time, memory and disk. Runs nothing."""
    from robustfront.planning.ascents import warnings
    from robustfront.planning.render import render

    options.scale = scale or options.scale
    options.try_all()
    click.echo(render(options.plan, options.results))
    for warning in warnings(options.plan):
        click.echo(f"warning: {warning}", err=True)


@cli.command()
@click.pass_obj
def methods(options: Options) -> None:
    """List the training methods and their parameters, your own included."""
    from robustfront.config.params import load_extensions
    from robustfront.methods import methods
    from robustfront.planning.render import render_methods

    load_extensions(options.params)
    click.echo(render_methods(methods))


@cli.command()
@click.pass_obj
def prepare(options: Options) -> None:
    """Write the resolved config.yaml of every planned run, and date back files from the future.

    Once for all jobs, it also says why manifests will not name the git commit.
    """
    from robustfront.artefacts import date_back
    from robustfront.planning.files import write_configs
    from robustfront.revision import why_unknown
    from robustfront.upkeep.neighbours import register

    write_configs(options.plan, options.results)
    register(options.all_plans, options.params, options.results, options.reports)
    for folder in (options.results, options.reports):
        date_back(folder)
    if problem := why_unknown():
        click.echo(f"warning: manifests will not name the git commit: {problem}", err=True)


@cli.command()
@click.argument("dataset_id")
@click.option(
    "--raw", type=click.Path(path_type=Path), default=Path("data/raw"), help="Where original files lie."
)
@click.pass_obj
def data(options: Options, dataset_id: str, raw: Path) -> None:
    """Download, verify, split and store a data set; say what of params.yaml does not fit it."""
    dataset = options.pick(options.plan.datasets, dataset_id, "data set")
    from robustfront.data.store import prepare as prepare_data

    prepare_data(dataset, raw, options.layout.dataset(dataset_id))
    options.plan_again()


@cli.command()
@click.argument("run_id")
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--devices", type=click.IntRange(1), default=1, help="Share every batch out to so many; same results."
)
@click.option(
    "--compile/--no-compile",
    "compiled",
    envvar="ROBUSTFRONT_COMPILE",
    help="torch.compile for bf16 attacks: half a minute at the start, and other rounding.",
)
@click.option(
    "--arithmetic",
    type=click.Choice(["fp32", "bf16"]),
    envvar="ROBUSTFRONT_ARITHMETIC",
    help="For runs whose precision is bf16, instead of what is faster on this machine.",
)
@click.pass_obj
def train(
    options: Options,
    run_id: str,
    device: str,
    devices: int,
    compiled: bool,
    arithmetic: Precision | None,
) -> None:
    """Train one run, or go on where it was stopped."""
    planned = options.pick(options.plan.runs, run_id, "run")
    from robustfront.devices import choose_device, choose_devices
    from robustfront.training.launch import joined, launch

    if devices > 1:
        where = ["--params", options.params, "--scale", options.plan.scale, "--results", options.results]
        command = [sys.executable, "-P", "-m", "robustfront", *map(str, where), "train", run_id]
        command += ["--compile" if compiled else "--no-compile"]  # or the environment would decide
        command += ["--arithmetic", arithmetic] if arithmetic else []
        sys.exit(launch(command, choose_devices(device, devices)))
    from robustfront.training.session import train as train_run

    chosen = choose_device(device)
    with remembered(options.layout, run_id, "train"), joined(chosen) as world:
        train_run(planned, options.plan.methods, options.layout, chosen, world, compiled, arithmetic)


@cli.command()
@click.argument("projector_id")
@click.pass_obj
def projector(options: Options, projector_id: str) -> None:
    """Compute the null-space projector of a trained run's head."""
    wanted = options.pick(options.plan.projectors, projector_id, "projector")
    from robustfront import checksums
    from robustfront.devices import choose_device
    from robustfront.models import nullspace, weights

    choose_device("cpu")
    layout = options.layout
    model = layout.run(wanted.run_id) / "model.safetensors"
    space = nullspace.compute(weights.load_weights(model)["head.weight"], wanted.rank_tolerance)
    made_from = checksums.made_from(layout.results, [model])
    space.save(layout.projector(projector_id), run=wanted.run_id, made_from=made_from)


@cli.command()
@click.argument("run_id")
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.pass_obj
def evaluate(options: Options, run_id: str, device: str) -> None:
    """Make all attacks and checks that are wanted of a trained run and not there yet."""
    plan = options.plan
    planned = options.pick(plan.runs, run_id, "run")
    from robustfront.evaluation.session import evaluate_run

    with remembered(options.layout, run_id, "evaluate"):
        evaluate_run(planned, plan.evaluations[run_id], plan.index(run_id), options.layout, device)


@cli.command()
@click.argument("run_id")
@click.argument("analysis_id")
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.pass_obj
def analyse(options: Options, run_id: str, analysis_id: str, device: str) -> None:
    """Compute one analysis of a trained run: loss surfaces, an attack's path, features and null space."""
    analysis = options.pick(options.plan.analyses, analysis_id, "analysis")
    options.pick(analysis.runs, run_id, f"run in analysis '{analysis_id}',")
    from robustfront.analysis.session import analyse_run
    from robustfront.devices import choose_device

    chosen = choose_device(device)
    with remembered(options.layout, run_id, "analyse"):
        analyse_run(options.plan.runs[run_id], analysis, options.layout, chosen)


@cli.command()
@click.argument("studies", nargs=-1)
@click.option(
    "--reports", type=click.Path(path_type=Path), default=None, help="Where tables, figures and pages go."
)
@click.option(
    "--partial", is_flag=True, help="What is not there is said, and no error; the contents page, too."
)
@click.pass_obj
def report(options: Options, studies: tuple[str, ...], reports: Path | None, partial: bool) -> None:
    """Make what is not current of the tables, figures and page of studies; of all if none is named.

    A table or figure that cannot be made is marked as such on the page. Exit code 1 then, and if results are
    missing.
    """
    plan, folder = options.plan, reports or options.reports
    chosen = [options.pick(plan.studies, name, "study") for name in studies or plan.studies]
    from robustfront.reporting import contents as pages
    from robustfront.studies.report import report as make

    complaints = [
        complaint
        for study in chosen
        for complaint in make(study, options.layout, folder / study.study.name, options.params)
    ]
    if partial:
        pages.write_contents(options.whole_plan, options.layout, folder)
    elif complaints:
        raise ReportIncomplete("\n".join(complaints))


@cli.command()
@click.option("--reports", type=click.Path(path_type=Path), default=None, help="Where the page goes.")
@click.pass_obj
def contents(options: Options, reports: Path | None) -> None:
    """Write reports/index.html, the page to open first, and the numbers for DVC."""
    plan = options.whole_plan
    from robustfront.reporting.contents import write_contents

    write_contents(plan, options.layout, reports or options.reports)


for verb in upkeep.VERBS:
    cli.add_command(verb)


def main() -> None:
    """Entry point. Errors of ours become a message and an exit code, never a traceback."""
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo(STOPPED, err=True)
        sys.exit(130)
    except _Terminated:
        click.echo(STOPPED, err=True)
        raise
    except RobustfrontError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(SystemExit):
    """SIGTERM came. An exception, so that half-written files go; and one that no library swallows."""


def _terminated(number: int, frame: FrameType | None) -> None:
    raise _Terminated(Interrupted.exit_code)
