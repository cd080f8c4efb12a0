"""The steps of a walk. Each leaves a project that must pass `Walker.check`."""

import copy
import json
import os
import random
from collections.abc import Callable
from typing import Any

from expected import expect
from walker import EXTENSION, EXTRA, POOL, Walker

ENGINES = ("snakemake", "dvc repro")


def edit(walker: Walker) -> None:
    """One number, somewhere."""
    scale, choose = walker.params["scales"]["tiny"], walker.random
    edits: list[Callable[[], Any]] = [
        lambda: walker.params["runs"]["npgd-pgd"].update(beta=choose.choice([0.5, 1.0, 1.5, 2.0])),
        lambda: walker.params["runs"]["st"].update(loss=choose.choice(["ce", "lse"])),
        lambda: scale["attack"].update(steps=choose.choice([2, 3])),
        lambda: scale["training"]["adversarial"].update(epochs=choose.choice([2, 3])),
        lambda: scale["suites"]["pixel-space"]["threat"].update(eps=choose.choice([0.5, 0.7, 0.9])),
        lambda: walker.params["datasets"]["digits"]["splits"].update(validation=choose.choice([100, 120])),
        lambda: scale["analyses"]["landscape"].update(images=choose.choice([2, 3])),
        lambda: scale.update(seeds=choose.choice([[0], [0, 1]])),
        lambda: walker.params.update(rank_tolerance=choose.choice([1.0e-5, 1.0e-4])),
        lambda: scale["suites"]["pixel-space"].update(masking=choose.choice([False, True])),
        lambda: scale["suites"]["paper-space"]["attacks"].update(
            aa={"kind": "autoattack", "version": choose.choice(["standard", "plus"])}
        ),
        lambda: scale["suites"]["paper-space"]["attacks"].pop("aa", None),
    ]
    choose.choice(edits)()
    _finish(walker)


def add_or_remove_a_run(walker: Walker) -> None:
    runs, name = walker.params["runs"], walker.random.choice(sorted(POOL))
    if name in runs:
        del runs[name]
    else:
        runs[name] = dict(POOL[name])
    _finish(walker)


def add_or_remove_a_study(walker: Walker) -> None:
    """Of a file, and a line in params.yaml."""
    if not walker.params.pop("extra", None):
        walker.params["extra"] = copy.deepcopy(EXTRA)
    _finish(walker)


def revert(walker: Walker) -> None:
    """params.yaml as it once was, by hand; the results of then may or may not still be there."""
    walker.params = _earlier(walker).params
    _finish(walker)


def edit_without_meaning(walker: Walker) -> None:
    """A comment and a number that changes no result."""
    walker.params["scales"]["tiny"]["throughput"]["gflops"] = walker.random.randint(1, 99)
    walker.write()
    path = walker.root / "params.yaml"
    path.write_text(f"# {walker.random.random()}\n{path.read_text()}")
    walker.make(walker.random.choice(ENGINES))
    walker.commit()


def experiment(walker: Walker) -> None:
    """`dvc exp run -S`, kept."""
    beta = walker.random.choice([0.25, 0.75, 1.25])
    walker.params["runs"]["npgd-pgd"]["beta"] = beta
    wanted = expect(walker.params)
    walker.jobs()
    walker.dvc("exp", "run", "--quiet", "--set-param", f"params/small.yaml:runs.npgd-pgd.beta={beta}")
    done = walker.jobs()
    trained = {job for job in done if job[0] == "train"}
    walker.agree(
        "trained by the experiment", trained, {j for j in wanted.todo(walker.there) if j[0] == "train"}
    )
    walker.there |= wanted.todo(walker.there)
    walker.reports = dict(wanted.reports)
    before = walker.history[-1].params["runs"]["npgd-pgd"]["beta"]
    if before != beta:
        _check_differences(walker, str(before), str(beta))
    walker.commit()


def _check_differences(walker: Walker, before: str, after: str) -> None:
    """DVC shows the edit, the changed errors, and both revisions in its plots."""
    (line,) = (line for line in walker.dvc("params", "diff").splitlines() if "npgd-pgd.beta" in line)
    walker.agree("params diff", line.split()[-2:], [before, after])
    changed = [line for line in walker.dvc("metrics", "diff").splitlines() if "npgd-pgd" in line]
    walker.agree("suites in metrics diff", len({line.split()[1].split(".")[3] for line in changed}), 2)
    plots = json.loads(walker.dvc("plots", "diff", "HEAD", "--json"))["data"]
    for name in ("errors/small-paper-space-clean", "training/small-digits-npgd-pgd-s0"):
        values = plots[f"reports/plots/{name}.csv"][0]["revisions"]
        walker.agree(f"revisions in the plot {name}", sorted(values), ["HEAD", "workspace"])


def check_out(walker: Walker) -> None:
    """Another revision, by git and DVC; nothing is made."""
    revision = _earlier(walker)
    walker.git("checkout", "--quiet", revision.commit, "--", ".")
    walker.dvc("checkout", "--quiet")
    walker.take(revision)
    walker.commit()


def clone_and_pull(walker: Walker) -> None:
    """A colleague's machine; the walk goes on there."""
    walker.dvc("push", "--quiet")
    here = walker.root
    walker.counts["clone"] += 1
    walker.root.mkdir()
    walker.git("clone", "--quiet", str(here), ".")
    walker.dvc("pull", "--quiet")


def touch_files(walker: Walker) -> None:
    """Times without meaning, into the past and the future."""
    files = [path for path in walker.root.rglob("*") if path.is_file() and ".git" not in path.parts]
    files = [path for path in files if not {".dvc", ".snakemake"} & {*path.parts}]
    for path in walker.random.sample(sorted(files), len(files) // 2):
        moment = 1.7e9 + walker.random.randint(0, 10**9) / 10
        os.utime(path, (moment, moment))


def delete_an_outcome(walker: Walker) -> None:
    """A file of the results is gone: its job is done again, and only what is made from that file."""
    kinds = {
        "evaluate": "runs/*/eval/[!i]*.parquet",  # of which the graph knows nothing
        "train": "runs/*/model.safetensors",
        "analyse": "runs/*/analysis/*.json",
    }
    verb = walker.random.choice(sorted(kinds))
    found = sorted((walker.root / "results").glob(kinds[verb]))
    for path in walker.random.sample(found, len(found)):
        content = path.read_bytes()
        path.unlink()
        if "missing: " in walker.robustfront("status", ok=(0, 1)):
            break
        path.write_bytes(content)  # of a run that nobody wants any more
    walker.jobs()
    if walker.random.random() < 0.5:
        walker.snakemake()
        walker.robustfront("snapshot")
    else:
        walker.dvc("repro")
    done = [job for job in walker.jobs() if job[0] not in ("report", "contents")]
    verbs = [job[0] for job in done]
    if verb == "train":  # Snakemake also redoes what is made from the model, as that may be another one now
        walker.agree("trained, and data made", ("train" in verbs, "data" in verbs), (True, False))
    else:
        walker.agree("jobs after a file was deleted", verbs, [verb])
    walker.commit()


def prune(walker: Walker) -> None:
    """What params.yaml no longer names goes."""
    walker.robustfront("prune", "--yes")
    walker.there &= {*expect(walker.params).jobs}
    walker.robustfront("snapshot")
    walker.commit()


def other_code(walker: Walker) -> None:
    """The source of a method changes: told, and redone only on demand; then the report is made anew too."""
    runs = walker.params["runs"]
    runs.setdefault("own", {"method": "walker", "loss": "ce"})
    walker.write()
    walker.make("snakemake")
    walker.extension = f"{EXTENSION}\nNUMBER = {walker.random.random()}\n"
    walker.write()
    walker.make("snakemake")  # nothing: checked there
    said = walker.robustfront("status", ok=(1,))
    seeds = len(walker.params["scales"]["tiny"]["seeds"])
    walker.agree("runs stale by code", said.count("sources"), seeds)
    walker.robustfront("prune", "--stale", "--yes")
    with_own = {*expect(walker.params).jobs}
    without = walker.params | {"runs": {name: run for name, run in runs.items() if name != "own"}}
    walker.there &= with_own & {*expect(without).jobs}
    walker.reports.pop("small")  # which has the run
    walker.make(walker.random.choice(ENGINES))
    walker.commit()


def _finish(walker: Walker) -> None:
    walker.write()
    walker.make(walker.random.choice(ENGINES))
    walker.commit()


def _earlier(walker: Walker) -> Any:
    return walker.random.choice(walker.history)


STEPS: dict[Callable[[Walker], None], int] = {
    edit: 10,
    add_or_remove_a_run: 5,
    add_or_remove_a_study: 3,
    revert: 5,
    edit_without_meaning: 2,
    experiment: 2,
    check_out: 5,
    clone_and_pull: 3,
    touch_files: 4,
    delete_an_outcome: 3,
    prune: 3,
    other_code: 1,
}
"""How often each is taken."""


def schedule(chance: random.Random, count: int) -> list[Callable[[Walker], None]]:
    """`count` steps: each kind once in any order, then as often as `STEPS` says."""
    kinds = chance.sample(list(STEPS), k=len(STEPS))
    return (kinds + chance.choices(list(STEPS), list(STEPS.values()), k=count))[:count]


def walk(walker: Walker, steps: list[Callable[[Walker], None]]) -> None:
    """Makes everything, then takes the steps; all is checked after each."""
    walker.make("snakemake")
    walker.commit()
    walker.check()
    for number, step in enumerate(steps):
        print(number, step.__name__, flush=True)
        try:
            step(walker)
            walker.check()
        except AssertionError as error:
            raise AssertionError(f"step {number}, {step.__name__}: {error}") from error
        walker.counts[step.__name__] += step.__name__ != "clone_and_pull"
