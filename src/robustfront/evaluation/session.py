"""All missing evaluations of one trained run, and the index that says that they are there.

Imports torch only if something is missing: after a change of what is wanted it may be the index alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from robustfront import checksums
from robustfront.artefacts import EVALUATIONS, Layout, require_writable
from robustfront.config.evaluations import RECORD, Evaluation
from robustfront.evaluation import outcomes
from robustfront.jobs import workplace

if TYPE_CHECKING:
    from robustfront.planning import PlannedRun


def evaluate_run(
    planned: PlannedRun, evaluations: Mapping[str, Evaluation], index: str, layout: Layout, device: str
) -> None:
    """Does those of `evaluations`, by id, that a trained run lacks, and then writes its `index` of them all.

    Each is written as soon as it is done. One of other weights, or of other images, counts as lacking. Goes
    on where it was killed, by whole batches of each attack. `device`: as on the command line; used only if
    something is lacking, like the model and the images.

    ArtefactError if the model or the data set is missing or damaged; NoDevice if there is no such device;
    RunLocked if another process evaluates this run.
    """
    place = layout.evaluation(planned.id, index)
    require_writable(place.parent)
    work = layout.unfinished(planned.id, EVALUATIONS)
    with workplace(work, f"{planned.id}, evaluations"):
        made_from = inputs(planned, layout)
        lacking = {
            key: evaluation
            for key, evaluation in evaluations.items()
            if not outcomes.is_complete(layout.evaluation(planned.id, key), evaluation, planned.id, made_from)
        }
        if lacking:
            from robustfront.evaluation.making import make

            make(planned, lacking, made_from, layout, device, work)
        content = {"run": planned.id, "evaluations": sorted(evaluations)}
        checksums.write_record(outcomes.file(place, RECORD), content, [])


def inputs(planned: PlannedRun, layout: Layout) -> dict[str, str]:
    """Path below results -> SHA-256 of the weights and images, as their records have it: nothing is hashed.

    ArtefactError if a record is missing or damaged.
    """
    weights = layout.run(planned.id) / "model.safetensors"
    images = layout.dataset(planned.dataset_id) / "images.safetensors"
    return {
        path.relative_to(layout.results).as_posix(): checksums.vouched(path.with_name("manifest.json"), path)
        for path in (weights, images)
    }
