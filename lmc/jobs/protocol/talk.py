"""How a job talks while it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Bar(Protocol):
    """A progress bar under way."""

    def advance(self, steps: int = 1) -> None:
        """Count steps as done."""

    def note(self, text: str) -> None:
        """Show a short text beside the bar."""


class Talk(Protocol):
    """How a job speaks to the person at the terminal; never on stdout."""

    def say(self, text: str) -> None:
        """One line that matters now: a skipped run, an estimate."""

    def warn(self, text: str) -> None:
        """One line, printed as ``warning: TEXT``, also where other lines are dropped."""

    def progress(self, title: str, total: int) -> AbstractContextManager[Bar]:
        """A bar of ``total`` steps."""


class _SilentBar:
    def advance(self, steps: int = 1) -> None: ...

    def note(self, text: str) -> None: ...


class Silent:
    """A talk that says nothing: the API's default."""

    def say(self, text: str) -> None:
        """Drop the line."""

    def warn(self, text: str) -> None:
        """Say the warning, so that a talk that keeps lines keeps warnings too."""
        self.say(f"warning: {text}")

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Bar]:
        """Yield a bar that shows nothing."""
        yield _SilentBar()
