import pytest
import tiny_training
import torch
from pydantic import ValidationError

from robustfront.config import schema
from robustfront.config.images import CropFlip
from robustfront.methods import methods
from robustfront.methods.base import Setting
from robustfront.models import nullspace
from robustfront.training.loop import Outcome, Trainer, Watcher


def trained(name: str, **training: object) -> tuple[Outcome, dict[str, torch.Tensor]]:
    """A tiny training from a given start: its outcome, and the start's weights."""
    model = tiny_training.network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    space = nullspace.compute(model.head.weight, 1e-6)
    kind = methods[name].method
    params = {"threat": tiny_training.THREAT, "attack": tiny_training.ATTACK, "generator": "pgd", "beta": 1.0}
    trainer = Trainer(
        "tiny",
        model=model,
        method=kind(kind.Params.model_validate(params), Setting(model, space)),
        store=tiny_training.store(),
        training=schema.Training.model_validate(tiny_training.TRAINING | training),
        augmentation=CropFlip(),
        seed=0,
    )
    return trainer.fit(Watcher(lambda state: None)), before


def test_only_the_weight_of_the_head_moves() -> None:
    outcome, before = trained("npgd_frozen")
    moved = {name for name, value in outcome.weights.items() if not torch.equal(value, before[name])}
    assert moved == {"head.weight"}


def test_eq_22_holds_to_rounding_all_along_and_the_premise_too() -> None:
    outcome, before = trained("npgd_frozen")
    space = nullspace.compute(before["head.weight"], 1e-6)
    for row in outcome.history[1:]:
        assert row["logit_drift"] == pytest.approx(row["logit_drift_head"], rel=1e-9)
        assert row["logit_drift_rest"] < 1e-9 * row["logit_drift"]
        assert row["head_offset_in_row_space"] < 1e-7
        assert "feature_drift_null_share" not in row
    assert outcome.history[-1]["logit_drift"] > 1e-4
    offset = space.offset_in_row_space(outcome.weights["head.weight"], before["head.weight"])
    assert offset < 1e-7


def test_with_trained_features_eq_22_leaves_most_of_the_drift_out() -> None:
    outcome, _ = trained("npgd")
    row = outcome.history[-1]
    assert row["logit_drift_rest"] > 0.5 * row["logit_drift"]
    assert 0 < row["feature_drift_null_share"] < 1


def test_npda_logs_the_drift_beside_its_gradient() -> None:
    outcome, _ = trained("npda")
    row = outcome.history[-1]
    assert {"projected_gradient_share", "logit_drift", "logit_drift_head"} <= set(row)
    assert row["head_offset_in_row_space"] > 1e-6, "nothing keeps NPDA's head in the null space"


def test_batch_norm_of_the_batch_is_refused() -> None:
    kind = methods["npgd_frozen"].method
    params = {"threat": tiny_training.THREAT, "attack": tiny_training.ATTACK, "generator": "pgd", "beta": 1.0}
    with pytest.raises(ValidationError, match="attack_mode"):
        kind.Params.model_validate(params | {"attack_mode": "train"})
