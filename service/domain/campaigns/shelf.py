"""Campaigns kept at hand for a moment, since every reader of every article asks for one.

A copy is at most `KEPT_SECONDS` old. Who changes a campaign answers only after that long (`let_go`), so
that nobody who has seen the change confirmed can still be shown the old text, by any process.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from service.db.campaign import Campaign
from service.domain.campaigns.terms import find_campaign
from service.domain.ports import TransactionFactory

KEPT_SECONDS = 0.5


@dataclass
class Copy:
    """A campaign as read, and the answers already written from it, by language."""

    campaign: Campaign
    good_until: float
    answers: dict[str, tuple[bytes, str]] = field(default_factory=dict)


class CampaignShelf:
    """Hands out campaigns by slug and reads each from the database at most every `KEPT_SECONDS`."""

    def __init__(self, reading: TransactionFactory, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._reading = reading
        self._monotonic = monotonic
        self._copies: dict[str, Copy] = {}

    def copy(self, slug: str) -> Copy:
        """Return the campaign with the answers written from it.

        Raises:
            CampaignNotFound: there is none with this slug.
        """
        held = self._copies.get(slug)
        if held is not None and self._monotonic() < held.good_until:
            return held
        asked_at = self._monotonic()
        with self._reading() as session:
            campaign = find_campaign(session, slug)
        fresh = Copy(campaign, asked_at + KEPT_SECONDS)
        if held is not None and held.campaign.updated_at == campaign.updated_at:
            fresh.answers = held.answers
        self._copies[slug] = fresh
        return fresh

    def campaign(self, slug: str) -> Campaign:
        """Return the campaign, detached from any session.

        Raises:
            CampaignNotFound: there is none with this slug.
        """
        return self.copy(slug).campaign


def let_go(sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until every process has let go of its copies; called after the commit of a changed campaign."""
    sleep(KEPT_SECONDS)
