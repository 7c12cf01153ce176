"""An in-process cache of campaigns, because every view of every article requests one.

An entry is at most `TTL_SECONDS` old. A request that changes a campaign is answered only after that time
(`wait_for_ttl`), so that no process serves the old text after the change is confirmed.
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
    """A campaign, and the response bodies rendered from it, each with its ETag.

    They are by language and by whether all texts are in it.
    """

    campaign: Campaign
    expires_at: float
    response_bodies: dict[tuple[str, bool, str | None], tuple[bytes, str]] = field(default_factory=dict)


class CampaignCache:
    """Campaigns by slug, each read from the database at most once in `TTL_SECONDS`."""

    def __init__(self, read_only: TransactionFactory, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read_only = read_only
        self._monotonic = monotonic
        self._entries: dict[str, CacheEntry] = {}

    def get_entry(self, slug: str) -> CacheEntry:
        """Return the campaign with the response bodies rendered from it.

        Raises:
            CampaignNotFound: no campaign has this slug.
        """
        cached = self._entries.get(slug)
        if cached is not None and self._monotonic() < cached.expires_at:
            return cached
        read_at = self._monotonic()
        with self._read_only() as session:
            campaign = get_campaign(session, slug)
        entry = CacheEntry(campaign, read_at + TTL_SECONDS)
        if cached is not None and cached.campaign.updated_at == campaign.updated_at:
            entry.response_bodies = cached.response_bodies
        self._entries[slug] = entry
        return entry

    def peek(self, slug: str) -> Campaign | None:
        """Return the campaign as it was last read, without asking the database; None if it was not."""
        cached = self._entries.get(slug)
        return None if cached is None else cached.campaign

    def get(self, slug: str) -> Campaign:
        """Return the campaign, detached from any session.

        Raises:
            CampaignNotFound: no campaign has this slug.
        """
        return self.get_entry(slug).campaign


def wait_for_ttl(sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until every process has dropped its old entry. Call it after a changed campaign is committed."""
    sleep(TTL_SECONDS)
