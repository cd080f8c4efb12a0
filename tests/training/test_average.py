import torch
from small_trainings import network, same

from robustfront.config.schema import MovingAverage
from robustfront.methods.base import Average
from robustfront.training.average import WeightAverage


def test_average_is_the_recursion_it_claims_to_be() -> None:
    model, generator = network(), torch.Generator().manual_seed(0)
    average = WeightAverage(model, Average(0.9))
    assert same(average.model.state_dict(), model.state_dict())
    expected = {name: p.detach().double() for name, p in model.named_parameters()}
    for step in range(30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator))
        average.update(model, 0, 30, step)
        expected = {name: 0.9 * expected[name] + 0.1 * p.detach() for name, p in model.named_parameters()}
    for name, parameter in average.model.named_parameters():
        torch.testing.assert_close(parameter.double(), expected[name], rtol=1e-5, atol=1e-5)


def test_batch_norm_statistics_are_copied() -> None:
    model = network()
    average = WeightAverage(model, Average(0.9))
    model(torch.rand(8, 1, 8, 8))
    average.update(model, 0, 30, 0)
    assert same(dict(average.model.named_buffers()), dict(model.named_buffers()))
    assert average.model.norm.num_batches_tracked == 1


def test_average_is_a_model_of_its_own_and_learns_nothing() -> None:
    model = network()
    average = WeightAverage(model, Average(0.5))
    with torch.no_grad():
        model.head.weight.zero_()
    assert average.model.head.weight.abs().sum() > 0
    assert not average.model.training
    assert model.training
    assert not any(p.requires_grad for p in average.model.parameters())
    assert all(p.requires_grad for p in model.parameters())


def test_an_average_of_the_config_may_begin_after_a_step_and_average_statistics() -> None:
    model, settings = network(), MovingAverage(decay=0.9, buffers="averaged", begins="first-step")
    average = WeightAverage(model, Average.of(settings))
    seen = []
    for step in range(2):
        model(torch.rand(8, 1, 8, 8))
        with torch.no_grad():
            model.head.weight.add_(step + 1)
        average.update(model, 0, 30, step)
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        if step == 0:
            assert same(average.model.state_dict(), seen[0])
    for name in ("head.weight", "norm.running_var"):
        expected = 0.9 * seen[0][name] + 0.1 * seen[1][name]
        torch.testing.assert_close(average.model.state_dict()[name], expected)
