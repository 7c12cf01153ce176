"""Currency options for tests: with zero, two and three decimals."""

from typing import Any

DOLLAR_FEES = {"basis_points": 290, "fixed": 30}

EUROS: dict[str, Any] = {
    "currency": "EUR",
    "frequencies": [
        {"frequency": "once", "presets": [1000, 2500], "default": 1000, "minimum": 300, "maximum": 500_000},
        {"frequency": "monthly", "presets": [300, 900], "default": 300, "minimum": 300, "maximum": 50_000},
    ],
    "cover_fees": {"basis_points": 150, "fixed": 25},
    "impact": {},
}
YEN: dict[str, Any] = {
    "currency": "JPY",
    "frequencies": [
        {"frequency": "once", "presets": [500, 1000, 3000], "default": 1000, "minimum": 300, "maximum": 500_000},
    ],
    "cover_fees": {"basis_points": 360, "fixed": 0},
    "impact": {},
}
DINARS: dict[str, Any] = {
    "currency": "KWD",
    "frequencies": [
        {"frequency": "once", "presets": [1500, 5000], "default": 1500, "minimum": 500, "maximum": 1_000_000},
    ],
    "impact": {},
}
