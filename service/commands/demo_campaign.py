"""The campaign of the demo, with its logos."""

from pathlib import Path

from service.commands.campaign_files import load_campaign_file
from service.domain.campaigns.brand import LOGOS, NewImage, email_image_name
from service.domain.campaigns.definitions import CampaignDefinition, parse_definition

SERVICE = Path(__file__).parents[1]
DEMO_CAMPAIGN = SERVICE / "demo_campaign.yaml"
# As `mainstay campaign brand` stores them, so that no process needs the libraries that check images.
DEMO_LOGOS = SERVICE / "demo_logos"


def load_demo_campaign() -> CampaignDefinition:
    """Return the definition of the demo campaign."""
    file = load_campaign_file(DEMO_CAMPAIGN)
    images = tuple(_read_image(file["brand"][name]) for name in LOGOS)
    return parse_definition(file | {"images": images})


def _read_image(name: str) -> NewImage:
    return NewImage(
        name=name,
        content=(DEMO_LOGOS / name).read_bytes(),
        email_png=(DEMO_LOGOS / email_image_name(name)).read_bytes(),
    )
