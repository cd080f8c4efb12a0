"""One evaluation from a trained run to its parquet and JSON files."""

from __future__ import annotations

import torch
from tqdm import tqdm

from robustfront import checksums
from robustfront.artefacts import Layout, require_writable
from robustfront.config.schema import Suite
from robustfront.data.store import load
from robustfront.devices import enough_memory
from robustfront.evaluation import outcomes
from robustfront.evaluation.memory import Memory
from robustfront.evaluation.suites import evaluate
from robustfront.jobs import workplace
from robustfront.models import build
from robustfront.planning import PlannedRun


def evaluate_run(
    planned: PlannedRun, suite: Suite, suite_id: str, layout: Layout, device: torch.device
) -> None:
    """Attacks the selected weights of a trained run with `suite` on the test split; writes the outcome.

    Goes on where it was killed, by whole batches of each attack. ArtefactError if the model or the data set
    is missing or damaged; RunLocked if another process is at it.
    """
    require_writable(layout.evaluation(planned.id, suite_id).parent)
    work = layout.unfinished(planned.id, suite_id)
    job = f"{planned.id}, suite {suite_id}"
    with workplace(work, job), enough_memory(job, device, f"suites.{suite.name}.batch_size"):
        _evaluate(planned, suite, suite_id, layout, device)


def _evaluate(planned: PlannedRun, suite: Suite, suite_id: str, layout: Layout, device: torch.device) -> None:
    store = load(layout.dataset(planned.dataset_id), device)
    weights = layout.run(planned.id) / "model.safetensors"
    model = build(
        planned.config.model,
        channels=store.test.images.shape[1],
        classes=store.classes,
        normalisation=planned.config.dataset.normalisation,
        weights=weights,
    )
    images = layout.dataset(planned.dataset_id) / "images.safetensors"
    made_from = checksums.made_from(layout.results, [weights, images])
    subject = f"{planned.id}/{suite_id}/{made_from}"
    memory = Memory(layout.unfinished(planned.id, suite_id), subject)
    with tqdm(desc=f"{planned.id} {suite.name}", unit="image", mininterval=1.0) as bar:

        def progress(attack: str, done: int, total: int) -> None:
            bar.set_postfix_str(attack, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        rows, summary = evaluate(model, store.test, suite, device=device, progress=progress, runner=memory.of)
    seconds = round(summary["seconds"] + memory.spared, 3)
    summary |= {"run": planned.id, "seconds": seconds, "made_from": made_from}
    outcomes.save(rows, summary, layout.evaluation(planned.id, suite_id))
