import pytest


@pytest.fixture(scope="session")
def build():
    """Builds a registered network from typed settings and what the data say of themselves."""
    from lmc import models
    from lmc.core import registry

    def make(name, shape, outputs=4, seed=0, graph=None, **settings):
        bound = registry.bind(models.MODELS[name], settings, "model", models.GIVEN)
        return models.build(name, bound, {"input_shape": shape, "outputs": outputs, "graph": graph}, seed)

    return make


@pytest.fixture(scope="session")
def assert_stack_is_alone(fill):
    """Outputs, gradients and buffers of runs in a stack are those of each run alone, in float64."""
    import torch

    from lmc.models.stack import forward, stack_states, state_of

    def check(make, inputs, training):
        networks = [fill(make(seed).double(), seed).train(training) for seed in range(3)]
        tensors = {k: v.clone() for k, v in stack_states([state_of(one) for one in networks]).items()}
        names = {name for name, _ in networks[0].named_parameters()}
        for name in names:
            tensors[name].requires_grad_()
        x = torch.stack([inputs.double() * (1 + run) for run in range(3)])
        outputs, _ = forward(make(9).double().train(training), tensors, x, shared=False)
        outputs.square().sum().backward()
        for run, network in enumerate(networks):
            alone = network(x[run])
            torch.testing.assert_close(outputs[run], alone, rtol=1e-9, atol=1e-9)
            alone.square().sum().backward()
            for name, parameter in network.named_parameters():
                torch.testing.assert_close(tensors[name].grad[run], parameter.grad, rtol=1e-7, atol=1e-7)
            for name, buffer in network.state_dict().items():
                if name not in names:
                    torch.testing.assert_close(tensors[name][run], buffer, rtol=1e-9, atol=1e-9)

    return check
