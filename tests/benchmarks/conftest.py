"""Comparisons of lmc with the plain way, in one process, by turns, reported as ratios.

    pytest tests/benchmarks --benchmark-only

Nothing here asserts a time. Each comparison first asserts that both ways give the same numbers.
LMC_BENCH_ROUNDS (default 7) says how often each pair is measured; LMC_BENCH_WAIT (default 0) how many seconds
each round may wait for other processes to fall silent. The column ``others`` is how many cores they kept busy.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from statistics import median

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # published.py, for the tests and for their child processes

ROUNDS = int(os.environ.get("LMC_BENCH_ROUNDS", "7"))
WAIT = float(os.environ.get("LMC_BENCH_WAIT", "0"))
_ROWS = pytest.StashKey[list]()
_NOTES = pytest.StashKey[list]()
_HEAD = ("comparison", "lmc", "plain", "ratio", "lowest", "highest", "rounds", "others")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Benchmarks use the threads that a user has, unlike the tests, whose fixture of this name this replaces."""


def pytest_configure(config):
    config.stash[_ROWS], config.stash[_NOTES] = [], []


class Others:
    """How many cores other processes kept busy since this was made; NaN where the system does not say."""

    def __init__(self):
        self.before = self._clock()

    @staticmethod
    def _clock():
        try:
            fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
        except OSError:
            return float("nan"), time.perf_counter()
        user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return busy - time.process_time(), time.perf_counter()

    def cores(self):
        busy, now = self._clock()
        return max(0.0, busy - self.before[0]) / (now - self.before[1])


def wait_for_silence():
    until = time.perf_counter() + WAIT
    while time.perf_counter() < until:
        others = Others()
        time.sleep(1)
        if others.cores() < 0.15:
            return


@pytest.fixture(scope="session")
def data():
    """The MNIST data, or noise of its shape."""
    import published

    return published.data()


@pytest.fixture(scope="session")
def pair(data):
    """Two briefly trained networks, as state dicts."""
    import published

    return published.trained_pair(data)


@pytest.fixture
def compare(request, benchmark):
    """Measure lmc against plain ways by turns, one row a plain way; ``timer`` is pytest-benchmark's clock."""

    def measure(name, lmc, plain, rounds=ROUNDS):
        if benchmark.disabled:
            return
        taken = {label: [] for label in plain}
        watches = []

        def plain_ways():
            wait_for_silence()
            watches.append(Others())
            for label, way in plain.items():
                began = time.perf_counter()
                way()
                taken[label].append(time.perf_counter() - began)

        def ours_and_watch():
            lmc()
            busy.append(watches[-1].cores())

        busy = []
        benchmark.pedantic(ours_and_watch, setup=plain_ways, rounds=rounds, iterations=1, warmup_rounds=1)
        ours = benchmark.stats.stats.data
        for label, seconds in taken.items():
            theirs = seconds[-len(ours) :]
            ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
            benchmark.extra_info[f"ratio to {label}"] = median(ratios)
            row = (f"{name}, {label}", f"{median(ours):.2f} s", f"{median(theirs):.2f} s")
            spread = [f"{value:.2f}" for value in (median(ratios), ratios[0], ratios[-1])]
            rest = (str(len(ratios)), f"{median(busy[-len(ours) :]):.1f}")
            request.config.stash[_ROWS].append((*row, *spread, *rest))

    return measure


@pytest.fixture
def compare_sizes(request, benchmark):
    """Report bytes of each way as a row."""

    def report(name, lmc, plain):
        ratios = sorted(b / a for a, b in zip(lmc, plain, strict=True))
        benchmark.extra_info[name] = median(ratios)
        row = (name, f"{median(lmc) / 1e6:.0f} MB", f"{median(plain) / 1e6:.0f} MB")
        spread = [f"{value:.2f}" for value in (median(ratios), ratios[0], ratios[-1])]
        request.config.stash[_ROWS].append((*row, *spread, str(len(ratios)), "-"))

    return report


@pytest.fixture
def note(request):
    """Say something below the table, once."""
    notes = request.config.stash[_NOTES]
    return lambda text: notes.append(text) if text not in notes else None


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(_ROWS, [])
    if not rows:
        return
    import torch

    table = [_HEAD, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(_HEAD))]
    terminalreporter.write_sep("-", "lmc against the plain way: medians; ratio = plain / lmc")
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        terminalreporter.write_line("  ".join(cells))
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    for text in [machine, *config.stash[_NOTES]]:
        terminalreporter.write_line(text)
