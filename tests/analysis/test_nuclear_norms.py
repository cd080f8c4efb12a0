"""Norm attacks and nuclear norms of the change of logits, against numpy on a linear model."""

import numpy as np
import pytest
import torch

from robustfront.analysis import landscape
from robustfront.analysis.norm_attacks import NORMS
from robustfront.analysis.norm_attacks import analyse as attack_norms
from robustfront.analysis.nuclear_norms import analyse as nuclear_norms
from robustfront.analysis.subject import Subject
from robustfront.config.analyses.norm_attacks import NormAttacks
from robustfront.config.analyses.nuclear_norms import NuclearNorms
from robustfront.data.store import Split
from toy_models import Convolutional, random_images, random_linear

SHAPE = (3, 6, 6)
BALL = {"runs": ["a"], "threat": {"eps": 0.05}, "attack": {"steps": 5, "step_size": 0.02, "start": "uniform"}}


def subject_of(model, n):
    images = (255 * random_images(n, SHAPE)).to(torch.uint8)
    labels = model(images / 255).argmax(1)
    labels[::9] = (labels[::9] + 1) % model.classes  # some are wrong when clean
    return Subject(model.eval(), Split(images, labels, torch.arange(n)))


def curved():
    torch.manual_seed(0)
    model = Convolutional(4).eval()
    model.body[0].weight.data *= 6
    model.head.weight.data *= 12
    return model


@pytest.mark.parametrize("norm", ["frobenius", "nuclear"])
def test_the_ascended_norms_have_the_gradients_of_their_closed_forms(norm) -> None:
    generator = torch.Generator().manual_seed(0)
    clean, logits = torch.randn(2, 7, 4, generator=generator, dtype=torch.float64)
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(NORMS[norm](clean, logits).sum(), logits)
    change = (logits - clean).detach().numpy()
    u, _, v = np.linalg.svd(change, full_matrices=False)
    expected = 2 * change if norm == "frobenius" else u @ v
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-9, atol=1e-12)


def test_confusion_and_entropies_are_of_batches_of_one_class() -> None:
    subject = subject_of(curved(), 200)
    subject.test.labels.copy_(torch.arange(200) % 4)
    subject.test.labels[20:] //= 2
    wanted = NormAttacks.model_validate(BALL | {"per_class": 20})
    arrays, facts = attack_norms(subject, wanted)
    counts = subject.test.labels.bincount(minlength=4).clamp(max=20)
    assert torch.equal(arrays["sizes"], counts)
    for norm in ("frobenius", "nuclear"):
        confusion = arrays[f"{norm}.confusion"].numpy()
        assert (confusion.sum(1) == counts.numpy()).all()
        assert facts[norm]["accuracy"] == pytest.approx(np.trace(confusion) / counts.sum().item())
        assert facts[norm]["entropy"] == pytest.approx(arrays[f"{norm}.entropy"].mean().item())
        assert (arrays[f"{norm}.entropy"] <= np.log(4)).all()
        assert facts[norm]["frobenius"] <= facts[norm]["nuclear"]
        assert 1 <= facts[norm]["rank"] <= 4
    assert facts["nuclear"]["nuclear"] > 0.98 * facts["frobenius"]["nuclear"], "each ascends its own"


def test_norms_are_of_full_batches_of_robust_and_of_fallen_images() -> None:
    model = curved()
    subject = subject_of(model, 200)
    wanted = NuclearNorms.model_validate(BALL | {"per_batch": 16, "images": 200, "batch_size": 64})
    arrays, facts = nuclear_norms(subject, wanted)
    again, _ = nuclear_norms(subject, wanted.model_copy(update={"batch_size": 200}))
    for name in ("robust", "fallen"):
        torch.testing.assert_close(arrays[name], again[name], rtol=1e-4, atol=1e-5)
        assert len(arrays[name]) == facts[name]["images"] // 16 > 0
        assert facts[name]["mean"] == pytest.approx(arrays[name].mean().item())
    correct = (model(subject.test.images / 255).argmax(1) == subject.test.labels).sum().item()
    assert facts["images"] == correct == facts["robust"]["images"] + facts["fallen"]["images"]
    assert facts["fallen"]["mean"] > facts["robust"]["mean"]


def test_a_group_without_a_full_batch_has_no_norm() -> None:
    subject = subject_of(random_linear(3, SHAPE, norm=2.0), 30)
    wanted = NuclearNorms.model_validate(BALL | {"per_batch": 64, "images": 30})
    arrays, facts = nuclear_norms(subject, wanted)
    assert len(arrays["robust"]) == 0
    assert facts["robust"]["mean"] is None


def test_the_second_direction_is_orthogonal_to_the_sign_of_the_gradient() -> None:
    model, x = curved(), random_images(3, SHAPE)
    found = landscape.planes(model, x, torch.tensor([0, 1, 2]), seed=0, batch_size=8, orthogonal=True)
    first, second = found["gradient"]
    assert (first * second).flatten(1).sum(1).abs().max() < 1e-3
    assert second.flatten(1).norm(dim=1).min() > 0.8 * (second[0].numel()) ** 0.5
