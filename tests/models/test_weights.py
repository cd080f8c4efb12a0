import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from robustfront.config.images import Normalisation
from robustfront.config.networks import PreActResNet
from robustfront.errors import ArtefactError
from robustfront.models import Classifier, build
from robustfront.models.weights import load_into, load_weights, save_weights


def network(normalisation: float = 0.5, channels: int = 3, **config: object) -> Classifier:
    return build(
        PreActResNet.model_validate({"depth": 10, "width": 4, **config}),
        channels=channels,
        classes=5,
        normalisation=Normalisation(mean=(normalisation,) * channels, std=(0.25,) * channels),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_weights(network(), path, {})
    return path


def test_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    original = network()
    original(torch.rand(4, 3, 8, 8))  # moves the batch-norm statistics
    save_weights(original, path, {"run": "x"})
    restored = network()
    load_into(restored, path)
    for name, tensor in original.state_dict().items():
        assert torch.equal(restored.state_dict()[name], tensor), name


def test_build_takes_the_weights_of_a_file(file: Path) -> None:
    model = PreActResNet(depth=10, width=4)
    normalisation = Normalisation(mean=(0.5,) * 3, std=(0.25,) * 3)
    restored = build(model, channels=3, classes=5, normalisation=normalisation, weights=file)
    assert torch.equal(restored.head.weight, load_weights(file)["head.weight"])


def test_build_with_weights_needs_no_pretrained_ones(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    shape = {"channels": 1, "classes": 2, "normalisation": Normalisation(mean=(0.5,), std=(0.5,))}
    save_weights(build(PreActResNet(), **shape), path, {})
    build(PreActResNet(pretrained="imagenet"), **shape, weights=path)


def test_channels_last_tensors_and_views_are_saved(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    flat = torch.arange(24.0)
    state = {
        "kernel": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "first": flat[:12],
        "all": flat,
        "transposed": flat.view(4, 6).T,
    }
    save_weights(state, path, {})
    assert all(torch.equal(tensor, state[name]) for name, tensor in load_weights(path).items())


def test_loading_keeps_the_memory_format(file: Path) -> None:
    model = network().to(memory_format=torch.channels_last)
    load_into(model, file)
    assert model.stem.weight.is_contiguous(memory_format=torch.channels_last)


def test_equal_contents_give_equal_bytes(tmp_path: Path) -> None:
    metadata = dict.fromkeys("qwertyuiop", "value")
    state = {"a": torch.ones(2), "b": torch.zeros(3)}
    contents = set()
    for attempt in range(10):
        path = tmp_path / f"{attempt}.safetensors"
        save_weights(state, path, metadata)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    with safe_open(path, "pt") as opened:
        assert json.loads(opened.metadata()["robustfront"]).items() >= metadata.items()


def test_failed_write_leaves_the_older_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(_path: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ArtefactError, match="No space left"):
        save_weights({"a": torch.ones(1)}, file, {})
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_truncated_file_is_refused_with_its_name(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ArtefactError, match=r"model\.safetensors: damaged .*; delete it and run `snakemake`"):
        load_weights(file)


def test_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"head.weight": torch.ones(1)}, path)
    with pytest.raises(ArtefactError, match="damaged"):
        load_weights(path)


def test_missing_file_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="missing; run `snakemake`"):
        load_weights(tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"depth": 18}, r"stages\.0\.1\.norm1\.weight is missing.*and \d+ more"),
        ({"final_norm": False}, r"norm\.weight is unknown to the model"),
        ({"hidden": 8}, r"hidden\.weight is missing.*head\.weight has shape \(5, 32\) instead of \(5, 8\)"),
        ({"channels": 1}, r"mean has shape \(1, 3, 1, 1\) instead of \(1, 1, 1, 1\)"),
        ({"normalisation": 0.0}, r"mean is \[0\.5, 0\.5, 0\.5\] instead of \[0\.0, 0\.0, 0\.0\]"),
    ],
)
def test_weights_of_another_model_are_refused_untouched(
    file: Path, other: dict[str, object], complaint: str
) -> None:
    model = network(**other)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ArtefactError, match=complaint):
        load_into(model, file)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
