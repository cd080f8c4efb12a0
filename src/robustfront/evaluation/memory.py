"""What an unfinished evaluation has computed so far, so that the same command goes on after a kill.

Every batch of every attack (of AutoAttack: of each of its parts) is a function of the model, the attack and
the batch; its x' is kept with a digest of these. An attack that is run again asks for the same batches in the
same order and is given what is there, so its result is that of an undisturbed run, bit for bit.
"""

import hashlib
import time
from collections import Counter
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from robustfront import sealed
from robustfront.attacks.engine import Attack, Runner
from robustfront.errors import ArtefactError


class Memory:
    """A folder of finished batches. `subject` names all that they depend on apart from attack and images.

    `spared` is how many seconds the recalled batches had taken.
    """

    def __init__(self, folder: Path, subject: str) -> None:
        self.folder, self.subject = folder, subject
        self.spared = 0.0
        self._asked: Counter[str] = Counter()

    def of(self, attack: str) -> Runner:
        """Runs a batch of the attack of this name, or recalls what it gave."""

        def run(perturb: Attack, x: Tensor, labels: Tensor) -> Tensor:
            self._asked[attack] += 1
            path = self.folder / f"{attack}-{self._asked[attack]}.safetensors"
            identity = self._identity(x, labels)
            known = self._recall(path, identity)
            if known is not None:
                return known.to(x.device)
            began = time.perf_counter()
            x_adv = perturb(x, labels)
            self._keep(path, x_adv, identity, time.perf_counter() - began)
            return x_adv

        return run

    def _identity(self, x: Tensor, labels: Tensor) -> str:
        digest = hashlib.sha256(self.subject.encode())
        for tensor in (x, labels):
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def _recall(self, path: Path, identity: str) -> Tensor | None:
        """None if there is nothing, or only what another model, suite or batch gave."""
        try:
            content = sealed.read(path)
            facts = sealed.facts(content)
            if facts["of"] != identity:
                return None
            self.spared += facts["seconds"]
            return safetensors.torch.load(content)["x_adv"]
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ArtefactError(
                f"{path}: damaged ({error}); delete it, and the same command computes this batch again"
            ) from None

    def _keep(self, path: Path, x_adv: Tensor, identity: str, seconds: float) -> None:
        metadata = sealed.metadata({"of": identity, "seconds": seconds})
        tensors = {"x_adv": x_adv.detach().cpu().contiguous()}
        sealed.write(path, safetensors.torch.save(tensors, metadata=metadata))
