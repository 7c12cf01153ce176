"""Where a reader changes a pledge: on their own page, signed in, or by the link of a mail about that pledge."""

import uuid
from dataclasses import dataclass

from flask import Response, redirect, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from service.db.pledge import Pledge
from service.domain.errors import DomainError
from service.domain.pledges.changing import SANDBOX_GATEWAY
from service.domain.pledges.own_gifts import get_supporter_pledge
from service.domain.pledges.own_page import get_pledge_by_token
from service.pages.api_facts import status_of
from service.pages.language import Words, words_for
from service.pages.session import reader_in
from service.pages.sheet import sheet
from service.web import current_container


class NotSignedIn(Exception):
    """The session is over, or there was none."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One pledge as its reader came to it: `base` is where it is changed, `home` the page with all of it."""

    pledge: Pledge
    words: Words
    base: str
    home: str
    receipts: str

    def back(self, **said: str | None) -> BaseResponse:
        """Lead to the page with all of it, in the same language; `said` tells what was done."""
        told = {name: value for name, value in (*said.items(), ("lang", request.args.get("lang"))) if value}
        query = "&".join(f"{name}={value}" for name, value in told.items() if value.replace("-", "").isalnum())
        return redirect(f"{self.home}?{query}" if query else self.home, 303)


def find_place(session: Session, pledge_id: uuid.UUID | None, token: str | None) -> Place:
    """Return the pledge of a mail's link, or the signed-in reader's own with this id.

    Raises:
        NotSignedIn: there is neither a link nor a session.
        PledgeNotFound: the link is no good, or the pledge is not theirs.
    """
    if token is not None:
        pledge = get_pledge_by_token(session, token, now=current_container().clock())
        base = home = f"/p/{token}"
    else:
        supporter_id = reader_in(session)
        if supporter_id is None or pledge_id is None:
            raise NotSignedIn
        pledge = get_supporter_pledge(session, pledge_id, supporter_id)
        base, home = f"/me/pledges/{pledge.id}", "/me"
    receipts = f"{base}/receipts" if token is not None else "/me/receipts"
    words = words_for(pledge.campaign, pledge.lang)
    return Place(pledge=pledge, words=words, base=base, home=home, receipts=receipts)


def draw_trouble(place: Place, error: DomainError, *, about_card: bool = False) -> Response:
    """Return a page that says what the gateway or the rules refused, and leads back."""
    name = "no_card" if about_card and place.pledge.gateway == SANDBOX_GATEWAY else error.code
    if f"me_trouble_{name}" not in place.words:
        raise error
    response = sheet(
        "order_trouble.html",
        place.words,
        status=status_of(error),
        campaign=place.pledge.campaign,
        title=place.words[f"me_trouble_{name}_title"],
        message=place.words[f"me_trouble_{name}"],
        home=place.home,
    )
    response.headers["X-Robots-Tag"] = "noindex"
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response
