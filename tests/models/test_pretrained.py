import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.errors import DataError
from robustfront.models import Classifier, build
from robustfront.models.pretrained import IMAGENET


def network(channels: int = 3, **config: object) -> Classifier:
    torch.manual_seed(0)
    return build(
        PreActResNet.model_validate({"pretrained": "imagenet", **config}),
        channels=channels,
        classes=10,
        normalisation=Normalisation(mean=(0.5,) * channels, std=(0.5,) * channels),
    )


def timm_name(name: str) -> str:
    """Our name of a tensor, in timm's words."""
    parts = name.split(".")
    if parts[0] == "stages":
        parts.insert(2, "blocks")
    return ".".join(parts).replace("shortcut", "downsample.conv")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """A stand-in for timm whose weights are all 2 and which disturbs torch's generator as timm does."""
    ours = network(pretrained=None).state_dict()
    state = {
        timm_name(name): torch.full_like(tensor, 2)
        for name, tensor in ours.items()
        if name.startswith(("stages", "norm"))
    }
    state |= {"stem.conv.weight": torch.ones(64, 3, 7, 7), "head.fc.weight": torch.ones(1000, 512, 1, 1)}

    def create_model(
        name: str, *, pretrained: bool, pretrained_cfg_overlay: dict[str, str]
    ) -> SimpleNamespace:
        assert (name, pretrained) == ("resnetv2_18.ra4_e3600_r224_in1k", True)
        assert pretrained_cfg_overlay == {"hf_hub_filename": "model.safetensors"}
        torch.rand(10)
        return SimpleNamespace(state_dict=lambda: state)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    return state


@pytest.mark.parametrize("config", [{}, {"final_norm": False}, {"hidden": 100}, {"channels": 1}])
@pytest.mark.usefixtures("fake")
def test_backbone_is_filled_and_stem_and_head_start_from_scratch(config: dict[str, object]) -> None:
    filled = network(**config)
    after_filling = torch.rand(3)
    scratch = network(**config, pretrained=None)
    assert torch.equal(after_filling, torch.rand(3))  # the run's random numbers are those without pretraining
    for name, tensor in filled.state_dict().items():
        if name.startswith(("stages", "norm")):
            assert (tensor == 2).all(), name
        else:
            assert torch.equal(tensor, scratch.state_dict()[name]), name


def test_other_architecture_in_timm_is_refused(fake: dict[str, Tensor]) -> None:
    fake["stages.0.blocks.0.gamma"] = torch.ones(1)
    with pytest.raises(DataError, match="is not the network"):
        network()


def test_unavailable_weights_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(*_arguments: object, **_options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))
    with pytest.raises(DataError, match=r"OSError: no route to host\); run once with internet access"):
        network()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, with the network declared absent; returns its snapshot folder."""
    import huggingface_hub.constants as hub_constants

    monkeypatch.setattr(hub_constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / f"models--timm--{IMAGENET}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    return snapshot


def randomised(model: nn.Module) -> nn.Module:
    """Weights and batch-norm statistics far from any default, so that a wrong or missing tensor shows."""
    generator = torch.Generator().manual_seed(1)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    return model.eval()


@pytest.mark.parametrize("final_norm", [True, False])
def test_stages_compute_what_timms_do_block_by_block(hub: Path, final_norm: bool) -> None:
    import timm

    theirs = randomised(timm.create_model("resnetv2_18"))
    save_file(theirs.state_dict(), hub / "model.safetensors")
    ours = network(final_norm=final_norm).eval()

    x = torch.randn(2, 64, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        for our_stage, their_stage in zip(ours.stages, theirs.stages, strict=True):
            for our_block, their_block in zip(our_stage, their_stage.blocks, strict=True):
                y = their_block(x)
                torch.testing.assert_close(our_block(x), y)
                x = y / y.std()
        if final_norm:
            torch.testing.assert_close(ours.norm(x).relu(), theirs.norm(x))


def test_pickled_weights_in_the_cache_are_not_touched(hub: Path) -> None:
    import timm

    torch.save(timm.create_model("resnetv2_18").state_dict(), hub / "pytorch_model.bin")
    with pytest.raises(DataError, match=rf"timm/{IMAGENET} are not in the Hugging Face cache"):
        network()
