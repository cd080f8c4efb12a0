"""The null space of a linear head, and the projector onto it.

With W (C, D) the weight of a head and V (D, r) its right singular vectors of non-zero singular value, the
projector P = I - V V^T (D, D) leaves what the head cannot see: W P = 0, so moving features along P g changes
no logit. It is the P of NPAT (Eq. 6 there, in the orientation where a row of W is a class); the bias has no
part in it.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robustfront.artefacts import read_json
from robustfront.checksums import write_record
from robustfront.errors import ArtefactError, ConfigError
from robustfront.models.weights import load_weights, save_weights


@dataclass(frozen=True, eq=False)
class NullSpace:
    """The null space of a head of C classes on D features, stored as the basis of its complement.

    V: orthonormal basis of the row space of W, float64 (D, r).
    singular_values: all min(C, D) of W, falling.
    rank_tolerance: singular values above this fraction of the largest count as non-zero.
    residuals: largest absolute entry of W P, P^2 - P and P - P^T, with P applied as `project` does it.
    """

    V: Tensor
    singular_values: tuple[float, ...]
    rank_tolerance: float
    residuals: dict[str, float]

    @property
    def rank(self) -> int:
        """r, the rank of W."""
        return self.V.shape[1]

    @property
    def dimension(self) -> int:
        """D - r, the dimension of the null space: the rank of P."""
        return self.V.shape[0] - self.rank

    def to(self, device: torch.device | str) -> "NullSpace":
        return replace(self, V=self.V.to(device))

    def project(self, g: Tensor) -> Tensor:
        """g P = g - (g V) V^T for g (..., D); same shape and type as g.

        Computed in float64 whatever the type of g: 4 D r operations per vector are nothing beside a backbone,
        and float64 is out of reach of autocast and TF32, which would leave 1e-3 of g in the row space.
        """
        exact = g.double()
        return (exact - (exact @ self.V) @ self.V.mT).to(g.dtype)

    def norms(self, g: Tensor) -> tuple[Tensor, Tensor]:
        """Norms, float64 (N,), of the parts of vectors g (N, D) in the row space and in the null space."""
        return (g.double() @ self.V).norm(dim=1), self.project(g.double()).norm(dim=1)

    def share(self, g: Tensor) -> float | None:
        """Sum of |P g|^2 over sum of |g|^2: how much of vectors g (N, D) lies in the null space.

        Of a random direction, (D - r) / D does: that is what a share must be compared with. None if all
        vectors are zero.
        """
        row, null = (norm.square().sum().item() for norm in self.norms(g))
        return null / (row + null) if row + null else None

    def offset_in_row_space(self, weight: Tensor, reference_weight: Tensor) -> float:
        """max |(weight - reference_weight) V|: how far a head (C, D) has moved within the row space of W.

        Stays at rounding level while every update of `weight` is projected (NPGD).
        """
        offset = (weight.detach().double() - reference_weight.detach().double()) @ self.V
        return offset.abs().max().item() if self.rank else 0.0

    def save(self, folder: Path, **about: Any) -> None:
        """Writes `projector.safetensors` (V) and `projector.json` (the rest, the dimensions, and `about`)."""
        tensors = folder / "projector.safetensors"
        save_weights({"V": self.V}, tensors, {})
        facts = {
            "features": self.V.shape[0],
            "rank": self.rank,
            "null_space_dimension": self.dimension,
            "rank_tolerance": self.rank_tolerance,
            "singular_values": list(self.singular_values),
            "residuals": self.residuals,
        }
        write_record(folder / "projector.json", facts | about, [tensors])


def compute(weight: Tensor, rank_tolerance: float) -> NullSpace:
    """The null space of a head's weight (C, D), by SVD in float64 on the CPU.

    Singular values up to `rank_tolerance` times the largest count as zero. Raises ConfigError if nothing is
    left, that is if the rank is D; ArtefactError if the weight is not finite.
    """
    matrix = weight.detach().to("cpu", torch.float64)
    if not matrix.isfinite().all():
        raise ArtefactError("head.weight: holds NaN or infinite values; train the run it comes from again")
    _, values, rows = torch.linalg.svd(matrix, full_matrices=False)
    rank = int((values > rank_tolerance * values[0]).sum())
    classes, features = matrix.shape
    if rank == features:
        raise ConfigError(
            f"model: a head of {classes} classes on {features} features has full rank and so no null space; "
            f"give it more than {classes} features by a larger `width` or `hidden`"
        )
    space = NullSpace(rows[:rank].mT.contiguous(), tuple(values.tolist()), rank_tolerance, residuals={})
    return replace(space, residuals=_residuals(matrix, space))


def _residuals(matrix: Tensor, space: NullSpace) -> dict[str, float]:
    features = matrix.shape[1]
    P = space.project(torch.eye(features, dtype=torch.float64))
    return {
        "|WP|": space.project(matrix).abs().max().item(),
        "|P^2-P|": (space.project(P) - P).abs().max().item(),
        "|P-P^T|": (P - P.mT).abs().max().item(),
    }


def load(folder: Path) -> NullSpace:
    """What `NullSpace.save` wrote. ArtefactError if a file is missing, damaged or of another projector."""
    facts = read_json(folder / "projector.json")
    V = load_weights(folder / "projector.safetensors").get("V")
    try:
        if V is None or V.shape != (facts["features"], facts["rank"]):
            raise ValueError("V does not fit projector.json")
        return NullSpace(V, tuple(facts["singular_values"]), facts["rank_tolerance"], facts["residuals"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(
            f"{folder}: not a projector ({error}); delete it and run `snakemake` again"
        ) from None
