"""The verbs that look after finished work. Snakemake calls none of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from robustfront.cli.options import Options

if TYPE_CHECKING:
    from robustfront.upkeep.status import Status


@click.command()
@click.pass_obj
def status(options: Options) -> None:
    """List what is missing, made by other code, or orphaned. Exit code 1 unless all is there and current."""
    found = _status(options)
    from robustfront.upkeep.status import render

    click.echo(render(found, options.whole_plan))
    sys.exit(0 if found.is_clean else 1)


@click.command()
@click.argument("run")
@click.pass_obj
def why(options: Options, run: str) -> None:
    """Say why a run, given by id or name, will or will not be done again."""
    plan = options.whole_plan
    from robustfront.upkeep.why import why as explain

    click.echo("\n".join(explain(plan, options.layout, run)))


@click.command()
@click.option(
    "--stale",
    is_flag=True,
    help="Also runs of this scale that other code made, so that `snakemake` makes them anew.",
)
@click.option("--yes", is_flag=True, help="Remove it. Without this, nothing is removed.")
@click.pass_obj
def prune(options: Options, stale: bool, yes: bool) -> None:
    """Remove artefacts that no scale of params.yaml names any more; by default only list them."""
    plans = options.all_plans
    from robustfront.reporting.wording import size
    from robustfront.upkeep import prune as pruning

    found = pruning.orphans(plans, options.layout, options.reports, options.params)
    if stale:
        found += pruning.stale(options.whole_plan, options.layout, options.params)
        found = list(dict.fromkeys(found))
    for orphan in found:
        click.echo(f"{orphan.kind} {orphan.path}  {size(orphan.bytes)}")
    total = f"{len(found)} item(s), {size(sum(orphan.bytes for orphan in found))}"
    if yes:
        pruning.remove(found)
    click.echo(f"{total} removed" if yes else f"{total} would be removed; --yes removes them")


@click.command()
@click.pass_obj
def verify(options: Options) -> None:
    """Check every artefact against the checksum written with it. Exit code 1 if one is damaged."""
    from robustfront.upkeep.verify import render
    from robustfront.upkeep.verify import verify as check

    found = check(options.results, options.reports)
    click.echo(render(found))
    sys.exit(1 if found.damaged else 0)


@click.command()
@click.pass_obj
def snapshot(options: Options) -> None:
    """Record finished work in DVC, so that `dvc status` is clean and `dvc repro` has nothing to do."""
    found = _status(options)
    from robustfront.planning import load_plan
    from robustfront.upkeep.snapshot import snapshot as record

    selected = load_plan(options.params).scale
    click.echo(record(options.whole_plan, found, selected, options.layout, options.reports))


@click.command()
@click.argument("folder", metavar="RUN_DIR", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("reproduced"), help="Where to train.")
@click.option(
    "--raw", type=click.Path(path_type=Path), default=Path("data/raw"), help="Where original images lie."
)
@click.option(
    "--extension",
    "extensions",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Python file of your own that it needs.",
)
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
def reproduce(folder: Path, out: Path, raw: Path, extensions: tuple[Path, ...], device: str) -> None:
    """Train a run again from its manifest alone, without params.yaml, and compare the weights.

    Exit code 1 if they differ.
    """
    from robustfront.config.extensions import extend
    from robustfront.devices import choose_device
    from robustfront.methods import methods
    from robustfront.upkeep.reproduce import Reproduction

    extend(extensions)
    found = Reproduction(out, raw, methods, choose_device(device)).run(folder.resolve())
    click.echo(str(found))
    sys.exit(0 if found.same else 1)


def _status(options: Options) -> Status:
    plan, plans = options.whole_plan, options.all_plans
    from robustfront.upkeep.status import status as look

    return look(plan, plans, options.layout, options.reports, options.params)


VERBS = (snapshot, status, why, prune, verify, reproduce)
