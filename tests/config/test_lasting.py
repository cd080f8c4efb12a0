"""Fields added later: they change no id, and a stored config without them means what it meant."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, ValidationError, create_model

from robustfront.config import networks, schema
from robustfront.config.datasets.mnist import MNIST
from robustfront.config.identity import content, dataset_id, digest, restored, run_digest
from robustfront.config.quantities import Flag
from robustfront.config.schema import Config, Dataset, Run, added

IMAGES: dict[str, Any] = {
    "name": "images",
    "source": "mnist",
    "splits": {"validation": 10},
    "normalisation": {"mean": [0.1], "std": [0.3]},
}
RUN: dict[str, Any] = {
    "method": "m",
    "params": {"beta": 1.0, "attack": {"steps": 3, "step_size": 0.1}},
    "dataset": IMAGES,
    "model": {},
    "training": {"epochs": 1, "batch_size": 2, "optimizer": {"lr": 1}, "schedule": {"kind": "constant"}},
    "seed": 0,
}


# A family as it was, and as it is once every part of it has got a field.
class Was:
    class Attack(Config):
        steps: int

    class Step(Config):
        kind: Literal["step"] = "step"
        factor: float = 0.1

    class Cosine(Config):
        kind: Literal["cosine"] = "cosine"

    class Params(Config):
        attack: Was.Attack
        schedule: Annotated[Was.Step | Was.Cosine, Field(discriminator="kind")]
        more: dict[str, Was.Attack] = Field({})
        parts: tuple[Was.Attack, ...] = ()
        maybe: Was.Attack | None = None


class Is:
    class Attack(Config):
        steps: int
        momentum: float = added(0.9, before=0.0)

    class Step(Config):
        kind: Literal["step"] = "step"
        factor: float = 0.1
        by_epoch: Flag = added(True, before=False)

    class Cosine(Config):
        kind: Literal["cosine"] = "cosine"

    class Params(Config):
        gone: ClassVar[frozenset[str]] = frozenset({"remark"})

        attack: Is.Attack
        schedule: Annotated[Is.Step | Is.Cosine, Field(discriminator="kind")]
        more: dict[str, Is.Attack] = Field({})
        parts: tuple[Is.Attack, ...] = ()
        maybe: Is.Attack | None = None
        limits: tuple[float, ...] = added((1.0, 2.0), before=())


OLD: dict[str, Any] = {
    "attack": {"steps": 3},
    "schedule": {"kind": "step"},
    "more": {"a": {"steps": 1}},
    "parts": [{"steps": 2}, {"steps": 5}],
    "maybe": {"steps": 4},
}


def test_added_fields_of_every_depth_change_no_id_of_what_is_as_before() -> None:
    was, now = Was.Params.model_validate(OLD), restored(Is.Params, OLD)
    assert content(now) == content(was) == was.model_dump(mode="json")


def test_what_a_stored_config_lacks_is_as_before_and_what_a_file_lacks_is_the_default() -> None:
    stored, written = restored(Is.Params, OLD), Is.Params.model_validate(OLD)
    for config, momentum, by_epoch, limits in (
        (stored, 0.0, False, ()),
        (written, 0.9, True, (1.0, 2.0)),
    ):
        attacks = [config.attack, config.more["a"], *config.parts, config.maybe]
        assert [attack.momentum for attack in attacks] == [momentum] * 5
        assert isinstance(config.schedule, Is.Step)
        assert config.schedule.by_epoch is by_epoch
        assert config.limits == limits


def test_another_value_than_as_before_is_part_of_the_id() -> None:
    stored, written = restored(Is.Params, OLD), Is.Params.model_validate(OLD)
    assert content(written)["attack"] == {"steps": 3, "momentum": 0.9}
    assert digest(content(written)) != digest(content(stored))


@pytest.mark.parametrize("config", [restored(Is.Params, OLD), Is.Params.model_validate(OLD)])
def test_stored_and_restored_is_the_same(config: Is.Params) -> None:
    assert restored(Is.Params, config.model_dump(mode="json")) == config
    assert restored(Is.Params, content(config)) == config


def test_keys_that_are_gone_are_dropped_from_what_is_stored_alone() -> None:
    assert restored(Is.Params, OLD | {"remark": "x"}) == restored(Is.Params, OLD)
    with pytest.raises(ValidationError, match="remark"):
        Is.Params.model_validate(OLD | {"remark": "x"})
    with pytest.raises(ValidationError, match="other"):
        restored(Is.Params, OLD | {"other": "x"})


# ------------------------------------------------------------------------------------- in the real schema
def patched(*places: type[Config]) -> type[Run]:
    """`Run` with `drop_last: Flag = added(True, before=False)` in models inside it."""

    def with_field(model: type[Config]) -> type[Config]:
        return create_model(
            model.__name__, __base__=model, drop_last=(Flag, added(True, before=False, description="new"))
        )

    fields: dict[str, Any] = {}
    for place in places:
        name = {schema.Training: "training", networks.PreActResNet: "model", MNIST: "dataset"}[place]
        fields[name] = (with_field(place), ...)
    return create_model("Run", __base__=Run, **fields)


@pytest.mark.parametrize("place", [schema.Training, networks.PreActResNet, MNIST])
def test_a_field_added_to_a_part_of_a_run_changes_no_id(place: type[Config]) -> None:
    params = Was.Attack(steps=3)
    before = Run.model_validate(RUN)
    now = restored(patched(place), before.model_dump(mode="json"))
    assert run_digest(now, params) == run_digest(before, params)
    assert dataset_id(now.dataset) == dataset_id(before.dataset)
    asked = patched(place).model_validate(RUN)
    assert run_digest(asked, params) != run_digest(before, params)


def test_a_field_added_to_the_attack_or_the_params_of_a_method_changes_no_id() -> None:
    ascent = create_model("Ascent", __base__=schema.Ascent, momentum=(float, added(0.9, before=0.0)))
    was = create_model("Params", __base__=Config, attack=(schema.Ascent, ...), beta=(float, 1.0))
    now = create_model(
        "Params",
        __base__=Config,
        attack=(ascent, ...),
        beta=(float, 1.0),
        drop=(Flag, added(True, before=False)),
    )
    run = Run.model_validate(RUN)
    old, new = restored(was, RUN["params"]), restored(now, RUN["params"])
    assert run_digest(run, new) == run_digest(run, old)
    assert run_digest(run, now.model_validate(RUN["params"])) != run_digest(run, old)


def test_a_stored_data_set_may_say_beside_which_published_one_it_stood() -> None:
    assert restored(Dataset, IMAGES | {"published_as": "CIFAR10"}) == Dataset.model_validate(IMAGES)
    assert restored(Run, RUN | {"dataset": IMAGES | {"published_as": None}}) == Run.model_validate(RUN)
    with pytest.raises(ValidationError, match="published_as"):
        Dataset.model_validate(IMAGES | {"published_as": "CIFAR10"})


@pytest.mark.parametrize(
    ("key", "old", "new"),
    [
        ("augmentation", {"pad": 4, "flip": True}, {"kind": "crop-flip", "pad": 4, "flip": True}),
        ("splits", {"validation": 10}, {"validation": 10, "rule": "stratified"}),
    ],
)
def test_kinds_that_came_later_leave_the_first_one_as_it_was(key: str, old: Any, new: Any) -> None:
    """As data sets were stored before there were kinds: hashed as they were then."""
    short, long = (Dataset.model_validate(IMAGES | {key: value}) for value in (old, new))
    assert short == long == restored(Dataset, IMAGES | {key: old})
    assert content(short)[key].keys() <= {"pad", "flip", "train", "validation", "test", "test_limit", "seed"}


def test_an_average_that_says_no_more_than_its_decay_is_the_number() -> None:
    params = Was.Attack(steps=3)

    def averaged(ema: Any) -> Run:
        return Run.model_validate(RUN | {"training": RUN["training"] | {"ema": ema}})

    number = averaged(0.9)
    assert content(number)["training"]["ema"] == 0.9
    for same in ({"decay": 0.9}, {"decay": 0.9, "ramp": None, "start": 0}):
        assert averaged(same) == number
    others = [
        averaged({"decay": 0.9} | more) for more in ({"ramp": 10}, {"ramp": 4.5}, {"start": 0, "ramp": 2})
    ]
    assert len({run_digest(run, params) for run in (number, *others)}) == 4
    assert all(restored(Run, content(run)) == run for run in others)


def test_other_kinds_have_other_ids() -> None:
    params = Was.Attack(steps=3)
    kinds: list[dict[str, Any]] = [
        {},
        *({"splits": {"validation": 10, "rule": rule}} for rule in ("random", "last", "last-per-class")),
        {"augmentation": {"kind": "none"}},
        {"augmentation": {"kind": "crop-flip-rotate", "degrees": 15.0}},
    ]
    runs = [Run.model_validate(RUN | {"dataset": IMAGES | kind}) for kind in kinds]
    assert len({run_digest(run, params) for run in runs}) == len(kinds)
    assert len({dataset_id(run.dataset) for run in runs}) == 4  # what augmentation does is not stored
