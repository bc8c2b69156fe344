"""What is said of a checkpoint: what was changed to fit it, what else it holds, and why it does not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from lmc.core.errors import StoredFileError
from lmc.store.checkpoints.candidates import COUNT, Part, others
from lmc.store.checkpoints.fitness import COUNTER, Fit, difference, short
from lmc.store.checkpoints.reading import Checkpoint


def misfit(checkpoint: Checkpoint, model: str, best: Fit) -> StoredFileError:
    """All that does not fit; of a network where less than half does, the first of each kind."""
    count = len(best.expected)
    fitting = sum(
        difference(name, tensor, best.expected[name]) is None for name, tensor in best.part.tensors.items()
    )
    missing = [name for name in best.expected if name in {*best.missing, *best.own}]
    foreign = 2 * fitting < count
    most = 3 if foreign else max(len(missing), len(best.unknown), len(best.unlike))
    lists = [f"lacks {_some(missing, most)}"] if missing else []
    lists += [f"has unknown {_some(best.unknown, most)}"] if best.unknown else []
    lists += [_some(best.unlike, most, "; ")] if best.unlike else []
    what = "another architecture" if foreign else "not the weights of this model"
    hint = "give model.* and data as it was trained, or its own code: model.name=package.module:function"
    if shards := re.search(r"-\d+-of-\d+", checkpoint.path.name):
        whole = checkpoint.path.name.replace(shards[0], "")
        hint = (
            f"this is one of several shards: name their index, {checkpoint.path.with_name(whole)}.index.json"
        )
    return StoredFileError(
        f"{checkpoint.path}: {what}, {fitting} of {count} tensors fit {model}: {'; '.join(lists)}", hint
    )


def notes(checkpoint: Checkpoint, fitted: Fit, rest: Sequence[Part]) -> Iterator[str]:
    """What was taken from where, and changed."""
    part, path = fitted.part, checkpoint.path
    keys, names = _split(checkpoint, part)
    if keys:
        yield f"{path}: the weights under {keys.rstrip('.')}"
    if names:
        yield f"{path}: {names} taken off the names"
    if part.unwrapped:
        yield f"{path}: names of wrappers taken out of the names"
    if part.added:
        yield f"{path}: {part.added} put before the names"
    changed = {
        (short(tensor), short(fitted.expected[name]))
        for name, tensor in part.tensors.items()
        if tensor.dtype != fitted.expected[name].dtype
    }
    for before, after in sorted(changed):
        yield f"{path}: {before} converted to {after}"
    counters = [name for name in fitted.own if name.endswith(COUNTER)]
    if counters:
        yield f"{path}: without {_some(counters)}, taken as 0"
    if computed := [name for name in fitted.own if name not in counters]:
        yield f"{path}: without {_some(computed)}, taken from the network"
    for name, other in fitted.ties.items():
        yield f"{path}: {name} is tied to {other}, which is saved once"
    if checkpoint.skipped:
        yield f"{path}: left out what needs code to be read: {_some(checkpoint.skipped)}"
    count = checkpoint.tensors.get(part.prefix.removesuffix("module.") + COUNT)
    if count is not None:
        yield f"{path}: an average of {int(count)} states ({COUNT})"
    if left := others(checkpoint, [part, *rest])[1]:
        yield f"{path}: left out {_some(left, 6)}"


def doubts(checkpoint: Checkpoint, taken: Part, rest: Sequence[Part]) -> Iterator[str]:
    """Other weights in the file that could have been meant."""
    for part in rest:
        yield (
            f"{checkpoint.path}: took the weights of {taken.label}; {part.label} fits as well: "
            f"weights={part.label} takes it"
        )
    for text in others(checkpoint, [taken, *rest])[0]:
        yield f"{checkpoint.path}: also holds averaged weights that do not fit the network: {text}"


def _split(checkpoint: Checkpoint, part: Part) -> tuple[str, str]:
    """A part's prefix as the keys that it lies under, and the beginning of its names."""
    above = {key for name, key in checkpoint.keys.items() if name.startswith(part.prefix)}
    keys = max((key for key in above if part.prefix.startswith(key)), key=len, default=None)
    if keys is None:
        keys = part.prefix
    return keys, part.prefix.removeprefix(keys)


def _some(texts: Iterable[str], most: int = 3, between: str = ", ") -> str:
    listed = list(texts)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return between.join(listed[:most]) + rest
