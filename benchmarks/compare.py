"""Rounds: ours, bare, ours, bare, … so that whatever else the machine does falls on both alike."""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.load import LoadResult


@dataclass(frozen=True)
class Comparison:
    """One request to each of two ports, with the status that both must answer; the readers' part is zeros.

    `baseline_name` says what stands at each port: what is measured, and what it is held against.
    """

    name: str
    mainstay: bytes
    baseline: bytes
    expected: int
    baseline_name: tuple[str, str] = ("ours", "bare")


@dataclass(frozen=True)
class LoadPlan:
    """How often and how long to measure; `warm_up` seconds are spent before each round."""

    rounds: int
    seconds: float
    warm_up: float


@dataclass(frozen=True)
class Measurement:
    """What a contest showed, round by round."""

    name: str
    who: tuple[str, str]
    ours: list[LoadResult]
    bare: list[LoadResult]

    @property
    def ratios(self) -> list[float]:
        """Ours to bare, for each pair of neighbouring rounds."""
        return [_rate(one) / max(_rate(other), 1e-9) for one, other in zip(self.ours, self.bare, strict=True)]

    @property
    def errors(self) -> list[str]:
        """The first error of each round that had any."""
        return [
            f"{tally.errors} errors, first: {tally.first_error}" for tally in self.ours + self.bare if tally.errors
        ]


def compare(contest: Comparison, pace: LoadPlan, *, ours: int, baseline: int) -> Measurement:
    """Measure a contest on two ports."""
    figures = Measurement(contest.name, contest.baseline_name, [], [])
    for number in range(pace.rounds):
        # Each round is other readers, or the second would find the reminders of the first.
        for port, request, tallies in (
            (ours, contest.mainstay, figures.ours),
            (baseline, contest.baseline, figures.bare),
        ):
            tallies.append(_measure(port, request.replace(b"{round}", b"%04d" % number), contest.expected, pace))
    return figures


def _measure(port: int, request: bytes, expected: int, pace: LoadPlan) -> LoadResult:
    options = ["--port", port, "--expected", expected, "--seconds", pace.seconds, "--warm-up", pace.warm_up]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *map(str, options)],
        input=request,
        stdout=subprocess.PIPE,
        check=True,
    )
    return LoadResult(**json.loads(done.stdout))


def table(all_figures: list[Measurement]) -> str:
    """Return the figures as a table for people."""
    who = " / ".join(all_figures[0].who)
    lines = [f"{'':40}{'requests/s':>11}{'p50 ms':>9}{'p95 ms':>9}{'errors':>8}   {who} (lowest to highest)"]
    for figures in all_figures:
        ratios = figures.ratios
        for who, tallies in zip(figures.who, (figures.ours, figures.bare), strict=True):
            verdict = (
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                if tallies is figures.ours
                else ""
            )
            lines.append(
                f"{figures.name + ', ' + who:40}"
                f"{statistics.median(map(_rate, tallies)):>11,.0f}"
                f"{statistics.median(tally.p50_ms for tally in tallies):>9.1f}"
                f"{statistics.median(tally.p95_ms for tally in tallies):>9.1f}"
                f"{sum(tally.errors for tally in tallies):>8}   {verdict}".rstrip()
            )
    return "\n".join(lines)


def _rate(tally: LoadResult) -> float:
    return tally.responses / tally.seconds
