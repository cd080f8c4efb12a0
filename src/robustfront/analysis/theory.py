"""A trained network against Remark 3.1 and Eq. 22 of S000; `methods.drift` says what is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from robustfront.methods.drift import Start, root_mean_square

if TYPE_CHECKING:
    from robustfront.models import Classifier
    from robustfront.models.nullspace import NullSpace


def remark31(
    model: Classifier, start: Classifier, images: Tensor, space: NullSpace
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Norms per image, and their summary, on uint8 test images (N, C, H, W).

    Arrays (N,): `logit_drift`, `logit_drift_head`, `logit_drift_rest`. Facts, beside `Drift.summary`:

    - `start_logits`: root mean square of f_std, to compare a drift with;
    - `prediction_changed`: fraction of the images that the two networks classify differently;
    - `head_offset`, `head_offset_row_share`: |W - W_std| (Frobenius), and the share of its square outside
      Null(W_std): 0 where Remark 3.1's premise holds;
    - `start_features_null_share`: of h_std(x), the share that the start's head cannot see, but a head moved
      within the null space can: why (W - W_std) h_std is not 0 although (W - W_std) V is.
    """
    began = Start(start, images)
    drift = began.drift(model)
    arrays = {
        name: part.norm(dim=1)
        for name, part in (
            ("logit_drift", drift.logits),
            ("logit_drift_head", drift.head),
            ("logit_drift_rest", drift.rest),
        )
    }
    offset = model.head.weight.detach().double() - began.weight
    offset_share, feature_share = space.share(offset), space.share(began.features)
    changed = (began.logits + drift.logits).argmax(dim=1) != began.logits.argmax(dim=1)
    facts = drift.summary(space) | {
        "start_logits": root_mean_square(began.logits),
        "prediction_changed": changed.double().mean().item(),
        "head_offset": offset.norm().item(),
        "head_offset_row_share": 0.0 if offset_share is None else 1 - offset_share,
        "start_features_null_share": feature_share or 0.0,
    }
    return arrays, facts
