"""One network that computes the mean of the runs' representations (THEORY 4; arXiv 2407.02447)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from lmc.core.errors import LmcError, MismatchError
from lmc.merging.layers import FittedLayer, survey
from lmc.merging.least_squares import correction
from lmc.merging.material import Bar, Material, Merged
from lmc.merging.mean import average
from lmc.models.stack import State, stack_states, unstack
from lmc.recording import Moments, record, reestimate
from lmc.variants import Constraint


def representation(
    material: Material,
    *,
    ridge: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1e-3,
    project: bool = False,
) -> Merged:
    """Layer by layer, the weights that best reproduce the mean of the runs' pre-activations.

    In the order of computation, every linear layer and ungrouped convolution gets the W and b of least

        E || W h + b - mean_i (W_i h_i + b_i) ||^2  +  lambda || W - mean_i W_i ||^2

    over the training inputs and their positions. h is what the merged network itself, as far as it is
    known, puts into the layer, h_i what run i does. lambda is ``ridge`` times the mean variance of the
    coordinates of h; of a layer without bias, their mean square. All else is the mean: norms, embeddings,
    grouped convolutions, layers that are called several times, and what all runs froze at the same values.
    BatchNorm statistics are re-estimated before each layer behind one.

    Args:
        ridge: 0 is plain least squares; the larger, the nearer to the mean weights, with biases that make up
            for it. In directions in which h does not vary the mean weights stand at any ridge.
        project: minimise over the trainable coordinates alone, so that the network stays in {D theta + f}.

    Raises:
        MismatchError: ``project`` of runs that do not share D and f.
        LmcError: what goes into a layer is not finite.
    """
    constraint = material.constraint
    if project and constraint is None:
        raise MismatchError(
            "merge.project=true: the runs differ in D, f, so there is no class to stay in",
            "merge.project=false",
        )
    example = material.inputs[:2].to(material.device)
    found, left_out = survey(material.network, _on(material.states[0], material.device), example)
    frozen = _frozen(material)
    layers = [layer for layer in found if not any(name in frozen for name in _tensors(layer))]
    left_out |= {name: "frozen" for layer in found if layer not in layers for name in _tensors(layer)}
    restricted = bool(project and constraint and (constraint.masks or constraint.mixings))
    with material.progress("merging", len(layers) * (1 + restricted)) as bar:
        free, notes = _realise(material, layers, ridge, None, bar)
        state = _realise(material, layers, ridge, constraint, bar)[0] if restricted else free
    return Merged(state, free if project else None, (*_kept(left_out), *notes))


def _tensors(layer: FittedLayer) -> tuple[str, str]:
    return f"{layer.name}.weight", f"{layer.name}.bias"


def _frozen(material: Material) -> set[str]:
    """The parameters that the network does not train and that all runs share."""
    first, *others = material.states
    return {
        name
        for name, parameter in material.network.named_parameters()
        if not parameter.requires_grad and all(torch.equal(first[name], other[name]) for other in others)
    }


def _realise(
    material: Material, layers: Sequence[FittedLayer], ridge: float, constraint: Constraint | None, bar: Bar
) -> tuple[State, list[str]]:
    """The merged network, in the class of ``constraint`` where there is one, and warnings."""
    states, merged, notes = material.states, len(material.states), []
    start = average(states) if constraint is None else _within(average(states), constraint)
    tensors = _on(stack_states([*states, start]), material.device)
    pairs = [(merged, merged), *((run, merged) for run in range(merged))]
    for layer in layers:
        if layer.normed and material.restatistics:
            _renew(material, tensors, merged)
        moments = record(material.network, tensors, material.inputs, {layer.rows: pairs})[layer.rows]
        if not all(part.isfinite().all() for part in (moments.mean, *moments.covariances.values())):
            raise LmcError(f"{layer.name}: what goes into it holds NaN or infinite values")
        weight, bias = tensors[f"{layer.name}.weight"], tensors.get(f"{layer.name}.bias")
        mask = constraint.mask(layer.name) if constraint else None
        _refit(weight, bias, moments, ridge, None if mask is None else mask.to(material.device))
        inputs = moments.mean.shape[1]
        if moments.count <= inputs:
            notes.append(
                f"warning: {layer.name}: {moments.count} rows of data for {inputs} inputs; "
                "directions without data keep the mean weights"
            )
        bar.advance()
    return {name: tensor.cpu() for name, tensor in unstack(tensors, merged).items()}, notes


def _refit(weight: Tensor, bias: Tensor | None, moments: Moments, ridge: float, free: Tensor | None) -> None:
    """Write into the last network of a stack the W (K, n, ...) and b (K, n) that fit the mean of the others.

    Args:
        weight: of which the last are those to be corrected.
        moments: of the layer's inputs, with covariances (i, last).
        free: (n, d) bool, what of W may change.
    """
    merged = len(weight) - 1
    w, mean = weight.flatten(2).double(), moments.mean

    def product(run: int) -> Tensor:
        """E[h_run h^T] (d, d), about the means where a bias is free to take these up."""
        found = moments.covariance(run, merged)
        return found + torch.outer(mean[run], mean[merged]) if bias is None else found

    gram = product(merged)
    target = torch.stack([w[run] @ product(run) for run in range(merged)]).mean(dim=0)
    fitted = w[merged] + correction(gram, target - w[merged] @ gram, ridge, free)
    weight[merged] = fitted.view(weight.shape[1:]).to(weight.dtype)
    if bias is not None:
        outputs = torch.stack([w[run] @ mean[run] + bias[run].double() for run in range(merged)]).mean(dim=0)
        bias[merged] = outputs - weight[merged].flatten(1).double() @ mean[merged]


def _renew(material: Material, tensors: State, merged: int) -> None:
    """Re-estimate one network's BatchNorm statistics, in place."""
    own = {name: tensor[merged:] for name, tensor in tensors.items()}
    for name, tensor in reestimate(material.network, own, material.inputs).items():
        tensors[name][merged:] = tensor


def _within(state: State, constraint: Constraint) -> State:
    """The state with its fixed entries at their centres, and the fixed mixings."""
    fixed = dict(state)
    for name, mask in constraint.masks.items():
        centre = constraint.centres.get(name, torch.zeros_like(state[name]))
        fixed[name] = torch.where(mask, state[name], centre.to(state[name].dtype))
    return {**fixed, **{f"{name}.mixing": mixing.clone() for name, mixing in constraint.mixings.items()}}


def _on(state: Mapping[str, Tensor], device: torch.device) -> State:
    return {name: tensor.to(device) for name, tensor in state.items()}


def _kept(left_out: Mapping[str, str]) -> list[str]:
    """One line that names the weights that are means, if there are any."""
    listed = ", ".join(f"{name} ({reason})" for name, reason in left_out.items())
    return [f"kept at their means, as they cannot be refitted: {listed}"] if listed else []
