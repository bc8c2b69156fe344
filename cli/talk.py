"""How a running job speaks on stderr: lines always, bars where somebody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from lmc.jobs.protocol.talk import Bar, Silent, Talk

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def talk_to(stream: TextIO, *, quiet: bool = False, bars: bool = True) -> Iterator[Talk]:
    """Bars and lines on a terminal, lines elsewhere; of the lines only warnings when quiet."""
    if quiet or not bars or not stream.isatty():
        yield Lines(stream, quiet)
        return
    talk = Bars(stream)
    try:
        yield talk
    finally:
        talk.close()


class Lines(Silent):
    """Plain lines and no bars: for log files, and for workers that share a terminal."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self.stream = stream
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print the line, unless quiet."""
        if not self.quiet:
            print(text, file=self.stream, flush=True)

    def warn(self, text: str) -> None:
        """Print the warning, also when quiet."""
        print(f"warning: {text}", file=self.stream, flush=True)


class Bars:
    """Bars with the time left, gone when they are done, and lines above them."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self.console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self.live: Progress | None = None
        self.open = 0

    def say(self, text: str) -> None:
        """Print the line above the bars."""
        self.console.print(text)

    def warn(self, text: str) -> None:
        """Print the warning above the bars."""
        self.say(f"warning: {text}")

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Bar]:
        """A bar below those already under way; a job may open one inside another."""
        live = self._live()
        task = live.add_task(title, total=total, note="")
        self.open += 1
        try:
            yield _Bar(live, task)
        finally:
            live.remove_task(task)
            self.open -= 1
            if not self.open:
                self.close()

    def close(self) -> None:
        """Take the bars off the terminal."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def _live(self) -> Progress:
        if self.live is None:
            self.live = _columns(self.console)
            self.live.start()
        return self.live


class _Bar:
    def __init__(self, live: Progress, task: TaskID) -> None:
        self.live = live
        self.task = task

    def advance(self, steps: int = 1) -> None:
        self.live.advance(self.task, steps)

    def note(self, text: str) -> None:
        self.live.update(self.task, note=text)


def _columns(console: Any) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
    )
