"""The campaign that our guide shows: three currencies, and fees that a reader may cover."""

from tests.processes import ROOT

EXAMPLE = ROOT / "docs" / "campaign-in-three-currencies.yaml"
SHOWN = 'campaign="three-currencies"'
EURO, YEN, DINAR = "EUR – Euro", "JPY – Japanese Yen", "KWD – Kuwaiti Dinar"
