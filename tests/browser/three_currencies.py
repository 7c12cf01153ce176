"""The example campaign of the guide, with three currencies and fees that a reader may cover."""

from tests.processes import ROOT

CAMPAIGN_FILE = ROOT / "docs" / "campaign-in-three-currencies.yaml"
CAMPAIGN_ATTRIBUTE = 'campaign="three-currencies"'
EURO, YEN, DINAR = "EUR – Euro", "JPY – Japanese Yen", "KWD – Kuwaiti Dinar"
