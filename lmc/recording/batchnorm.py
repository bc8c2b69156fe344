"""Re-estimate BatchNorm statistics on data, for networks whose weights were not trained with them."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lmc.models.modes import evaluating
from lmc.models.stack import State, batch_norms, forward, size
from lmc.recording.evaluation import Replacements

BATCH = 256


def reestimate(
    module: nn.Module, tensors: Mapping[str, Tensor], inputs: Tensor, replace: Replacements | None = None
) -> State:
    """The stack with running means and variances taken from one pass over ``inputs``.

    An interpolated network has other activations than its ends, so interpolated statistics are wrong
    (arXiv 2211.08403). Equal batches are averaged equally; a last partial batch is dropped. Everything
    but BatchNorm stays in evaluation mode.

    Args:
        tensors: name to (K, *shape); not changed.
        inputs: (N, *input_shape), training data.
        replace: from a batch, what stands in at modules or points, as for ``evaluate``.
    """
    names = batch_norms(module)
    if not names:
        return dict(tensors)
    parts = [module.get_submodule(name) for name in names]
    fresh = {name: tensor.clone() for name, tensor in tensors.items()}
    momenta = [part.momentum for part in parts]
    device = next(iter(fresh.values())).device
    step = min(BATCH, len(inputs))
    with evaluating(module):
        try:
            for part in parts:
                part.train()
            for count, start in enumerate(range(0, len(inputs) - step + 1, step)):
                for part in parts:
                    part.momentum = 1 / (count + 1)  # type: ignore[assignment]
                x = inputs[start : start + step].to(device)
                known = replace(x) if replace else {}
                runs = slice(0, size(fresh))
                forward(module, fresh, x, replace={where: value[runs] for where, value in known.items()})
        finally:
            for part, momentum in zip(parts, momenta, strict=True):
                part.momentum = momentum
    return fresh
