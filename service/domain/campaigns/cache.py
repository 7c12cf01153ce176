"""Campaigns kept at hand for a moment, since every reader of every article asks for one.

A copy is at most `TTL_SECONDS` old. Who changes a campaign answers only after that long (`wait_for_ttl`), so
that nobody who has seen the change confirmed can still be shown the old text, by any process.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.db.models.campaign import Campaign
from service.domain.campaigns.definitions import get_campaign
from service.domain.ports import TransactionFactory

TTL_SECONDS = 0.5


@dataclass
class CacheEntry:
    """A campaign as read, and the answers already written from it, by language."""

    campaign: Campaign
    expires_at: float
    response_bodies: dict[str, tuple[bytes, str]] = field(default_factory=dict)


class CampaignCache:
    """Hands out campaigns by slug and reads each from the database at most every `TTL_SECONDS`."""

    def __init__(self, reading: TransactionFactory, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reading = reading
        self._monotonic = monotonic
        self._copies: dict[str, CacheEntry] = {}

    def get_entry(self, slug: str) -> CacheEntry:
        """Return the campaign with the answers written from it.

        Raises:
            CampaignNotFound: there is none with this slug.
        """
        held = self._copies.get(slug)
        if held is not None and self._monotonic() < held.expires_at:
            return held
        asked_at = self._monotonic()
        with self._reading() as session:
            campaign = get_campaign(session, slug)
        fresh = CacheEntry(campaign, asked_at + TTL_SECONDS)
        if held is not None and held.campaign.updated_at == campaign.updated_at:
            fresh.response_bodies = held.response_bodies
        self._copies[slug] = fresh
        return fresh

    def get(self, slug: str) -> Campaign:
        """Return the campaign, detached from any session.

        Raises:
            CampaignNotFound: there is none with this slug.
        """
        return self.get_entry(slug).campaign


def wait_for_ttl(sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until every process has let go of its copies; called after the commit of a changed campaign."""
    sleep(TTL_SECONDS)
