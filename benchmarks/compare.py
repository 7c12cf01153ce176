"""Compares two servers in alternating rounds, so that other load on the machine affects both alike."""

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.load import LoadResult


@dataclass(frozen=True)
class Comparison:
    """One request for each of two servers, and the status that both must return.

    Twelve zeros in a request stand for the reader's number. `labels` names the two servers in the output.
    """

    name: str
    mainstay: bytes
    baseline: bytes
    expected: int
    labels: tuple[str, str] = ("ours", "baseline")


@dataclass(frozen=True)
class LoadPlan:
    """How many rounds to measure, and for how long; each begins with `warm_up` seconds."""

    rounds: int
    seconds: float
    warm_up: float


@dataclass(frozen=True)
class Measurement:
    """The results of a comparison, one of each server for each round."""

    name: str
    labels: tuple[str, str]
    mainstay: list[LoadResult]
    baseline: list[LoadResult]

    @property
    def ratios(self) -> list[float]:
        """Our requests per second divided by the baseline's, for each pair of neighbouring rounds."""
        pairs = zip(self.mainstay, self.baseline, strict=True)
        return [_rate(ours) / max(_rate(theirs), 1e-9) for ours, theirs in pairs]

    @property
    def errors(self) -> list[str]:
        """The first error of each round that had any."""
        results = self.mainstay + self.baseline
        return [f"{result.errors} errors, first: {result.first_error}" for result in results if result.errors]


def compare(comparison: Comparison, plan: LoadPlan, *, mainstay: int, baseline: int) -> Measurement:
    """Measure a comparison; `mainstay` and `baseline` are the ports of the two servers."""
    measurement = Measurement(comparison.name, comparison.labels, [], [])
    for number in range(plan.rounds):
        # Each round has readers of its own; otherwise the second would renew the reminders of the first.
        for port, request, results in (
            (mainstay, comparison.mainstay, measurement.mainstay),
            (baseline, comparison.baseline, measurement.baseline),
        ):
            numbered = request.replace(b"{round}", b"%04d" % number)
            results.append(_measure(port, numbered, comparison.expected, plan))
    return measurement


def measure(port: int, comparison: Comparison, plan: LoadPlan) -> LoadResult:
    """Measure one round of our request on one server."""
    return _measure(port, comparison.mainstay, comparison.expected, plan)


def _measure(port: int, request: bytes, expected: int, plan: LoadPlan) -> LoadResult:
    options = ["--port", port, "--expected", expected, "--seconds", plan.seconds, "--warm-up", plan.warm_up]
    completed = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *map(str, options)],
        input=request,
        stdout=subprocess.PIPE,
        check=True,
    )
    return LoadResult(**json.loads(completed.stdout))


def table(measurements: list[Measurement]) -> str:
    """Return the measurements as a plain-text table."""
    heading = " / ".join(measurements[0].labels)
    lines = [f"{'':40}{'requests/s':>11}{'p50 ms':>9}{'p95 ms':>9}{'errors':>8}   {heading} (lowest to highest)"]
    for measurement in measurements:
        ratios = measurement.ratios
        both = (measurement.mainstay, measurement.baseline)
        for label, results in zip(measurement.labels, both, strict=True):
            comparison = (
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
                if results is measurement.mainstay
                else ""
            )
            lines.append(
                f"{measurement.name + ', ' + label:40}"
                f"{statistics.median(map(_rate, results)):>11,.0f}"
                f"{statistics.median(result.p50_ms for result in results):>9.1f}"
                f"{statistics.median(result.p95_ms for result in results):>9.1f}"
                f"{sum(result.errors for result in results):>8}   {comparison}".rstrip()
            )
    return "\n".join(lines)


def _rate(result: LoadResult) -> float:
    """Return requests per second."""
    return result.responses / result.seconds
