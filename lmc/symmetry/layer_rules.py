"""What layers do to the axes of tensors: contractions, convolutions, norms, embeddings, attention."""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx

from lmc.symmetry.atoms import Axes, Indices
from lmc.symmetry.rules import Operation, Rule, named, unknown


def contract(op: Operation, terms: Sequence[tuple[str, Axes]], out: str) -> Axes:
    """Einstein summation: equal letters permute alike.

    A summed atom that depends on blocks keeps its freedom only where every factor that has it has the
    blocks along a shared axis, too.
    """
    algebra = op.algebra
    sizes: dict[str, Indices] = {}
    for names, axes in terms:
        for letter, axis in zip(names, axes, strict=True):
            before = sizes.get(letter)
            if before is None or (before.size == 1 and axis.size > 1):
                sizes[letter] = axis
            elif axis.size == before.size:
                (algebra.same if letter in out else algebra.summed)(before, axis)
    for letter, axis in sizes.items():
        if letter in out:
            continue
        having = [set(names) for names, _ in terms if letter in names]
        shared = set.intersection(*having)
        there = {atom for each in shared for run in algebra.resolve(sizes[each]) for atom in run.atoms}
        for atom in {atom for run in algebra.resolve(axis) for atom in run.atoms}:
            for parent in algebra.parents(atom) - there:
                algebra.forget(atom, parent)
    return [sizes[letter] for letter in out]


def _letters(count: int, start: str) -> str:
    return "".join(chr(ord(start) + place) for place in range(count))


def linear(op: Operation) -> Axes:
    """x W^T + b."""
    x, weight, bias = op.first, op.axes("weight"), op.axes("bias")
    assert weight is not None
    op.uses.readers.append((op.node, op.arguments["input"], len(x) - 1))
    op.uses.owners.append((op.node, op.arguments["weight"], len(x) - 1))
    lead = _letters(len(x) - 1, "A")
    out = contract(op, [(lead + "i", x), ("oi"[-len(weight) :], weight)], lead + "o"[: len(weight) - 1])
    if bias is not None:
        op.algebra.same(out[-1], bias[0])
    return out


def _owned(op: Operation, terms: Sequence[str], out: str) -> None:
    """Any factor of a product may be a weight; which are is known of the whole graph only."""
    nodes = [node for node, _ in op.tensors()]
    for place, letter in enumerate(out):
        for names, node in zip(terms, nodes, strict=False):
            if letter in names:
                op.uses.products.append((op.node, node, place))


def matmul(op: Operation) -> Axes:
    """Products of matrices, with leading axes aligned from the back."""
    (_, a), (_, b) = op.tensors() if len(op.tensors()) == 2 else (op.tensors()[0],) * 2
    lead = max(len(a), len(b), 2) - 2
    names = _letters(lead, "A")
    left = names[lead - (len(a) - 2) :] + "mk" if len(a) > 1 else "k"
    right = names[lead - (len(b) - 2) :] + "kn" if len(b) > 1 else "k"
    out = names + ("m" if len(a) > 1 else "") + ("n" if len(b) > 1 else "")
    _owned(op, [left, right], out)
    return contract(op, [(left, a), (right, b)], out)


def added_matmul(op: Operation) -> Axes:
    """addmm and baddbmm: a bias that is repeated where its axes have size 1."""
    names = [name for name in op.arguments if op.axes(name) is not None]
    bias, a, b = (op.axes(name) for name in names)
    assert bias is not None
    assert a is not None
    assert b is not None
    lead = _letters(len(a) - 2, "A")
    op.uses.products.append((op.node, op.arguments[names[2]], len(a) - 1))
    out = contract(op, [(f"{lead}mk", a), (f"{lead}kn", b)], f"{lead}mn")
    for axis, own in zip(reversed(out), reversed(bias), strict=False):
        if own.size == axis.size:
            op.algebra.same(axis, own)
    return out


def einsum(op: Operation) -> Axes:
    """Einsum by its equation; the axes of an ellipsis are aligned from the back."""
    inputs, arrow, out = op.arguments["equation"].replace(" ", "").partition("->")
    nodes: list[fx.Node] = list(op.arguments["tensors"])
    terms, most = [], ""
    for names, axes in zip(inputs.split(","), [op.known[each] for each in nodes], strict=True):
        rest = "".join(
            chr(0x100 + place) for place in reversed(range(len(axes) - len(names.replace(".", ""))))
        )
        most = max(most, rest, key=len)
        terms.append((names.replace("...", rest), axes))
    if not arrow:
        joined = "".join(names for names, _ in terms)
        own = (each for each in {*joined} - {*most} if joined.count(each) == 1)
        out = "..." * bool(most) + "".join(sorted(own))
    out = out.replace("...", most)
    if len({*nodes}) == len(nodes):
        _owned(op, [names for names, _ in terms], out)
    return contract(op, terms, out)


def convolution(op: Operation) -> Axes:
    """Channels as in a linear layer, in ``groups`` blocks; positions stay."""
    x, weight, bias = op.first, op.axes("weight"), op.axes("bias")
    assert weight is not None
    rank = len(weight) - 2
    if len(x) != rank + 2:
        return unknown(op)  # type: ignore[no-any-return]
    groups = op.arguments.get("groups", 1)
    turned = op.name.startswith("conv_transpose") or bool(op.arguments.get("transposed", False))
    op.fix(*x[2:], what=f"the positions of {op.name}")
    op.fix(*weight[2:], what=f"the kernel of {op.name}")
    algebra = op.algebra
    reads, makes = (weight[0], weight[1]) if turned else (weight[1], weight[0])
    if groups > 1:
        blocks = algebra.atom(groups)
        inner = [algebra.atom(reads.size // (groups if turned else 1))]
        inner.append(algebra.atom(makes.size // (1 if turned else groups)))
        for each in inner:
            each.parents = {blocks}
        whole = [algebra.times(Indices.of(blocks), Indices.of(each)) for each in inner]
        algebra.summed(x[1], whole[0])
        algebra.same(weight[0], whole[0 if turned else 1])
        algebra.same(weight[1], Indices.of(inner[1 if turned else 0]))
        algebra.respect(weight)
        makes = whole[1]
    else:
        algebra.summed(x[1], reads)
    if bias is not None:
        algebra.same(makes, bias[0])
    op.uses.readers.append((op.node, op.arguments["input"], 1))
    op.uses.owners.append((op.node, op.arguments["weight"], 1))
    return [x[0], makes, *(op.fixed(size) for size in op.shape[2:])]


def channel_norm(op: Operation) -> Axes:
    """BatchNorm and InstanceNorm: each channel alone."""
    op.uses.norms.append(op.node)
    for name in ("weight", "bias", "running_mean", "running_var"):
        own = op.axes(name)
        if own is not None:
            op.algebra.same(op.first[1], own[0])
    op.mix(0, *range(2, len(op.first)))
    return list(op.first)


def group_norm(op: Operation) -> Axes:
    """Channels permute within groups, and whole groups."""
    op.uses.norms.append(op.node)
    channels = op.first[1]
    for name in ("weight", "bias"):
        own = op.axes(name)
        if own is not None:
            op.algebra.same(channels, own[0])
    groups = op.arguments["num_groups"]
    if groups > 1 and op.algebra.blocks(channels, channels.size // groups) is None:
        op.fix(channels)
    op.mix(*range(2, len(op.first)))
    return list(op.first)


def layer_norm(op: Operation) -> Axes:
    """The last axes together; every order gives the same."""
    op.uses.norms.append(op.node)
    for name in ("weight", "bias"):
        own = op.axes(name)
        if own is not None:
            for axis, scale in zip(op.first[-len(own) :], own, strict=True):
                op.algebra.same(axis, scale)
    op.mix(*range(len(op.first) - len(op.arguments["normalized_shape"]), len(op.first)))
    return list(op.first)


def embedding(op: Operation) -> Axes:
    """Rows picked by the inputs stay; their entries are neurons."""
    weight, indices = op.first, op.axes("indices")
    assert indices is not None
    op.fix(weight[0], what=f"the indices of {op.name}")
    op.uses.owners.append((op.node, op.arguments["weight"], len(indices)))
    return [*indices, weight[1]]


def attention(op: Operation) -> Axes:
    """softmax(Q K^T) V over leading axes; the keys' and values' places are summed over."""
    query, key, value, mask = (op.axes(name) for name in ("query", "key", "value", "attn_mask"))
    assert query is not None
    assert key is not None
    assert value is not None
    if op.arguments.get("enable_gqa") or not len(query) == len(key) == len(value):
        return unknown(op)  # type: ignore[no-any-return]
    if op.arguments.get("is_causal"):
        op.fix(query[-2], key[-2], value[-2], what=f"the causal mask of {op.name}")
    lead = _letters(len(query) - 2, "A")
    scores = contract(op, [(lead + "qd", query), (lead + "kd", key)], lead + "qk")
    if mask is not None:
        for axis, own in zip(reversed(scores), reversed(mask), strict=False):
            if own.size == axis.size:
                op.algebra.same(axis, own)
    op.algebra.mix(scores, [len(scores) - 1])
    return contract(op, [(lead + "qk", scores), (lead + "kv", value)], lead + "qv")


def aggregated(op: Operation) -> Axes:
    """The sum over neighbours in a graph: nodes stay, features pass."""
    op.fix(*op.first[:-1], what="the graph")
    op.mix(*range(len(op.first) - 1))
    return list(op.first)


LAYERS: dict[str, Rule] = {
    **named(linear, "linear"),
    **named(matmul, "matmul mm bmm mv dot"),
    **named(added_matmul, "addmm baddbmm"),
    **named(einsum, "einsum"),
    **named(
        convolution,
        "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution",
    ),
    **named(channel_norm, "batch_norm instance_norm"),
    **named(group_norm, "group_norm"),
    **named(layer_norm, "layer_norm rms_norm"),
    **named(embedding, "embedding"),
    **named(attention, "scaled_dot_product_attention"),
    **named(aggregated, "aggregate"),
}
