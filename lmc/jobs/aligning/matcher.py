"""A chosen matcher: its settings, what it wants measured, and what identifies its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lmc import matching
from lmc.jobs.protocol.choices import Choice
from lmc.matching import Evidence, Matching, Needs


@dataclass(frozen=True)
class Matcher:
    """A matcher with its settings bound."""

    choice: Choice

    @classmethod
    def bind(cls, group: Mapping[str, Any]) -> Matcher:
        """From a settings group; raises SettingError with all faults."""
        return cls(Choice.bind("match", group))

    @property
    def label(self) -> str:
        """The name in tables."""
        return self.choice.label

    @property
    def leaves(self) -> bool:
        """Whether it moves nothing, so that nothing need be traced or recorded for it."""
        return self.choice.name == "none"

    @cached_property
    def needs(self) -> Needs:
        """What it declares by the types of its parameters."""
        return Needs.of(self.choice.builder, self.choice.settings)

    def with_settings(self, **changed: Any) -> Matcher:
        """The same matcher, some of its settings changed."""
        return Matcher.bind({"name": self.choice.name, **self.choice.settings, **changed})

    @property
    def content(self) -> dict[str, Any]:
        """Everything that its permutations depend on beside the runs."""
        return {"name": self.choice.name, **self.choice.settings}

    def __call__(self, evidence: Evidence) -> Matching:
        """Match the runs of some evidence."""
        return matching.match(self.choice.builder, evidence, self.choice.settings, self.label)


NONE = Matcher.bind({"name": "none"})
"""No alignment."""


def unaligned_and(matcher: Matcher) -> list[Matcher]:
    """The runs without alignment always, then aligned where a matcher is set."""
    return [NONE] if matcher.leaves else [NONE, matcher]
