"""Named experiments and their claims in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lmc.core.pairing import INTERVAL
from lmc.summaries.summary import Summary

if TYPE_CHECKING:
    import pandas as pd


class JudgedClaim(Protocol):
    """A claim with the conditions that decide it."""

    @property
    def text(self) -> str:
        """In words."""

    @property
    def outcome(self) -> str:
        """Holds, does not hold, cannot be decided, or too small to decide."""

    @property
    def remarks(self) -> Sequence[tuple[str, str]]:
        """The text of each condition, and what came of it where it does not hold."""

    @property
    def control(self) -> str:
        """The outcomes where the claim must not hold; empty where there are none."""


def claims(judged: Sequence[JudgedClaim]) -> Summary:
    """Each claim with its conditions and controls below it."""
    rows = []
    for place, claim in enumerate(judged, start=1):
        rows.append({"claim": f"{place}. {claim.text}", "": claim.outcome})
        rows += [{"claim": f"   {text}", "": remark} for text, remark in claim.remarks]
        if claim.control:
            rows.append({"claim": f"   must not hold where {claim.control}", "": ""})
    return Summary.of("claims", rows, score([claim.outcome for claim in judged]))


def score(outcomes: Sequence[str]) -> str:
    """How many claims hold, do not, and cannot be decided; no score where the size is too small."""
    counts = Counter(outcomes)
    if "too small to decide" in counts:
        return "too small to decide: these sizes only show that it runs"
    others = ", ".join(
        f"{counts[each]} {words}"
        for each, words in (("does not hold", "not"), ("cannot be decided", "cannot be decided"))
        if counts[each]
    )
    return f"{counts['holds']} of {len(outcomes)} claims hold" + (f", {others}" if others else "")


def listing(size: str, rows: Sequence[Mapping[str, Any]]) -> Summary:
    """The named experiments at a size."""
    note = (
        "lmc reproduce NAME size=tiny|small|full; lmc train experiment=NAME/CASE trains one case as published"
    )
    shown = [{key: str(value) for key, value in row.items()} for row in rows]
    return Summary.of(f"named experiments, size={size}", shown, note)


def interval_note(runs: int, what: str) -> str:
    """How many runs a table rests on."""
    return f"{runs} runs a case; {what}; {INTERVAL}"


def barriers(
    title: str, cases: Sequence[str], found: Mapping[Any, Any], matchers: Sequence[str], split: str, note: str
) -> Summary:
    """Accuracy, identifiability ratio and barriers of every case."""
    details = (detail for _, name, detail in found if name == "identifiability_ratio" and detail != "mean")
    layers = list(dict.fromkeys(details))
    rows = []
    for case in cases:
        row: dict[str, Any] = {"": case, f"{split} accuracy": str(found[case, "accuracy", split])}
        for layer in layers if len(layers) <= _FEW else ["mean"]:
            row[f"identifiability ratio {layer}"] = str(found[case, "identifiability_ratio", layer])
        for matcher in matchers:
            row[f"barrier, {matcher}"] = str(found[case, "barrier", matcher])
        rows.append(row)
    return Summary.of(title, rows, note)


_FEW = 3


def coherence(title: str, placed: pd.DataFrame, found: Mapping[Any, Any]) -> Summary:
    """Midpoint barriers by coherence, one column per embedding."""
    rows = []
    for copies in sorted(placed["copies"].unique()):
        row = {"coherence": f"1/{copies}"}
        for embedding in dict.fromkeys(placed["embedding"]):
            row[f"midpoint barrier, {embedding}"] = str(found[embedding, "midpoint", str(copies)])
        rows.append(row)
    count = placed.groupby(["embedding", "copies"]).size().min()
    note = f"{count} pairs per setting; {INTERVAL} over outer seeds"
    return Summary.of(title, rows, note)


def prediction(title: str, cases: int, joined: pd.DataFrame, found: Mapping[Any, Any], note: str) -> Summary:
    """Predicted costs beside the ratio measured after training."""
    rows = [
        {
            "case": row.case,
            "layer": row.layer,
            "predicted swap / own": f"{row.relative_swap_cost:.3g}",
            "predicted identifiable": f"{row.identifiable:.1%}",
            "ratio after training": f"{row.identifiability_ratio:.3f}",
        }
        for row in joined.itertuples()
    ]
    rho = "; ".join(f"{layer} {found['all', name, layer]}" for _, name, layer in found if name == "spearman")
    return Summary.of(title, rows, f"Spearman's rho over {cases} cases: {rho}", note)


def ridge(title: str, cases: Sequence[str], found: Mapping[Any, Any], note: str) -> Summary:
    """Relative swap costs by estimate, and the rank correlation with Mahalanobis costs."""
    details = list(dict.fromkeys(detail for _, _, detail in found))
    rows = []
    for case in cases:
        row = {"": case}
        for detail in details:
            label = detail if detail == "mahalanobis" else f"ridge {detail}"
            row[f"swap / own, {label}"] = str(found[case, "relative", detail])
            if (case, "spearman", detail) in found:
                row[f"rho, {detail}"] = str(found[case, "spearman", detail])
        rows.append(row)
    return Summary.of(title, rows, note)
