"""The permutation groups of a network in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lmc.summaries.summary import Summary
from lmc.symmetry import Group, Groups, Proof


def symmetries(model: str, groups: Groups, proofs: Mapping[str, Proof]) -> list[Summary]:
    """A line per group of a model, and the axes that no permutation moves, by reason."""
    rows = [
        {
            "group": group.name,
            "neurons": str(group.size),
            "permute": _freedom(group),
            "layers": _listed(group.layers),
            "read by": _listed(_readers(group)),
            "tensors": str(len({axis.tensor for axis in group.axes})),
            "proved": "no" if proofs[group.name].doubt else "yes",
        }
        for group in groups
    ]
    found = [Summary.of(f"{model}: {len(groups)} groups", rows, *_proof(groups, proofs))]
    if not rows:
        found = [Summary.of(f"{model}: no neurons permute", [])]
    if groups.fixed:
        reasons: dict[str, list[str]] = {}
        for each in groups.fixed:
            reasons.setdefault(each.reason, []).append(f"{each.tensor}[{each.axis}]")
        fixed = [{"fixed by": reason, "axes": _listed(axes)} for reason, axes in reasons.items()]
        found.append(Summary.of("axes that stay", fixed))
    return found


def _proof(groups: Groups, proofs: Mapping[str, Proof]) -> Iterator[str]:
    """What was tried, and of what nothing was shown."""
    proved = [proofs[group.name] for group in groups if proofs[group.name].doubt is None]
    controls = [change for each in proved for axis, change in each.controls.items() if each.seen(axis)]
    if controls:
        largest = max(each.change for each in proved)
        yield (
            f"proved in {proved[0].precision}: a permutation that moves every neuron changes no output by "
            f"more than {largest:.1g} of the largest; one that leaves a tensor out, by {min(controls):.1g}"
        )
    for doubt in dict.fromkeys(proofs[group.name].doubt for group in groups):
        if doubt:
            names = [group.name for group in groups if proofs[group.name].doubt == doubt]
            yield f"nothing was proved of {_listed(names)}: {doubt}"
    unseen = dict.fromkeys(axis.tensor for each in proved for axis in each.unseen)
    if unseen:
        yield f"the outputs do not depend on the order of {_listed(list(unseen))}"


def _freedom(group: Group) -> str:
    if group.blocks == 1:
        return "freely"
    inside = ", and inside them" if group.inner and group.block > 1 else ""
    with_others = f" (with {group.family})" if group.family not in ("", group.name) else ""
    return f"{group.blocks} blocks of {group.block}{inside}{with_others}"


def _readers(group: Group) -> list[str]:
    """Modules with the neurons on an input axis."""
    found = [axis.tensor.rpartition(".")[0] for axis in group.axes if axis.axis > 0]
    return [name for name in dict.fromkeys(found) if name not in group.layers or len(found) == 1]


def _listed(names: Sequence[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
