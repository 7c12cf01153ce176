"""The gateway's share of a payment, and what a reader adds so that the newsroom keeps all that they chose."""

from dataclasses import dataclass
from typing import Final

_BASIS_POINTS: Final = 10_000  # basis points in all of a payment


@dataclass(frozen=True, slots=True)
class FeeRate:
    """What is kept of each payment: hundredths of a percent of it, and a fixed amount in minor units.

    Raises:
        ValueError: nothing would be left of any payment, or more than was paid.

    """

    basis_points: int
    fixed_minor: int

    def __post_init__(self) -> None:
        if not 0 <= self.basis_points < _BASIS_POINTS or self.fixed_minor < 0:
            raise ValueError("A share is from 0 to 9999 basis points and a fixed amount of zero or more.")

    def fees_to_cover(self, amount_minor: int, *, step_minor: int = 1) -> int:
        """Return the fees that a reader adds to an amount to cover them, in minor units.

        What is charged then is the smallest whole multiple of `step_minor` of which the newsroom keeps at least
        the amount. The share is taken of the fees too, hence the division.
        """
        kept = _BASIS_POINTS - self.basis_points
        least = _ceil_div((amount_minor + self.fixed_minor) * _BASIS_POINTS, kept)
        return _ceil_div(least, step_minor) * step_minor - amount_minor


def _ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)
