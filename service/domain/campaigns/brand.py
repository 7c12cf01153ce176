"""The look of a campaign: which of it is kept when a file is applied, and the images that it names."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.db.models.campaign import BrandImage, Campaign
from service.db.upsert import dialect_insert
from service.domain.errors import ImageNotFound
from service.domain.ports import EmailBrand, EmailLogo, TransactionFactory
from service.domain.urls import UrlBuilder

LOGOS = ("logo", "logo_dark")
# The logo in an email of a year ago is still shown after the campaign has another.
UNUSED_IMAGES_KEPT = datetime.timedelta(days=400)
EMAIL_SUFFIX = "-email.png"
MAX_CACHED_IMAGES = 50
# How large the logo is shown, in CSS pixels.
MAX_LOGO_SIZE = (280, 56)


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """An image to store: its checked content, and a PNG copy of it for emails."""

    name: str
    content: bytes
    email_png: bytes


def image_size(name: str) -> tuple[int, int]:
    """Return the width and height of an image, which are part of its name."""
    width, _, height = name.rpartition(".")[0].rpartition("-")[2].partition("x")
    return int(width), int(height)


def shown_size(name: str) -> tuple[int, int]:
    """Return the width and height at which a logo is shown: its own, or as much smaller as needed."""
    width, height = image_size(name)
    is_drawing = name.endswith(".svg")
    scale = min(MAX_LOGO_SIZE[0] / width, MAX_LOGO_SIZE[1] / height)
    # A drawing has no pixels, so it can be shown larger than its size says.
    scale = scale if is_drawing else min(scale, 1)
    return max(round(width * scale), 1), max(round(height * scale), 1)


def merge_brand(stored: Mapping[str, Any], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the brand after a file is applied. A logo that the file does not mention stays; null removes it."""
    if given is None:
        return {}
    kept = {name: stored[name] for name in LOGOS if name in stored}
    return {name: value for name, value in (kept | dict(given)).items() if value is not None}


def store_images(session: Session, images: Iterable[NewImage], *, now: datetime.datetime) -> None:
    """Store the images that are not stored yet, which another process may be doing too."""
    # Always in the same order, so that two processes cannot wait for each other.
    for image in sorted(images, key=lambda image: image.name):
        row = {
            "name": image.name,
            "content": image.content,
            "email_png": image.email_png,
            "created_at": now,
            "last_used_at": now,
        }
        statement = dialect_insert(session, BrandImage).values(row)
        session.execute(
            statement.on_conflict_do_update(index_elements=[BrandImage.name], set_={"last_used_at": now})
        )


def require_images(session: Session, brand: Mapping[str, Any]) -> None:
    """Check that the images of a brand are stored.

    Raises:
        ImageNotFound: one is not.
    """
    for field in LOGOS:
        name = brand.get(field)
        if name is not None and session.get(BrandImage, name) is None:
            raise ImageNotFound(
                f"No image {name} is stored. Upload it: mainstay campaign brand --{field.replace('_', '-')} FILE.",
                field=f"brand.{field}",
            )


class ImageCache:
    """The content of images by name, and of their copies for emails by `email_image_name`."""

    def __init__(self, read_only: TransactionFactory) -> None:
        self._read_only = read_only
        self._contents: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        """Return the content of an image, or None if there is none of this name."""
        if name in self._contents:
            return self._contents[name]
        stored_name = name.removesuffix(EMAIL_SUFFIX)
        # A URL may hold NUL, which PostgreSQL does not accept in text.
        with self._read_only() as session:
            image = None if "\0" in name else session.get(BrandImage, stored_name)
        if image is None:
            return None
        if len(self._contents) >= MAX_CACHED_IMAGES:
            self._contents.clear()
        return self._contents.setdefault(name, image.content if name == stored_name else image.email_png)


def email_image_name(name: str) -> str:
    return name + EMAIL_SUFFIX


def delete_unused_images(session: Session, *, now: datetime.datetime) -> int:
    """Delete the images that no campaign has used for `UNUSED_IMAGES_KEPT`; return their number."""
    used = {brand[name] for brand in session.scalars(select(Campaign.brand)) for name in LOGOS if name in brand}
    session.execute(update(BrandImage).where(BrandImage.name.in_(used)).values(last_used_at=now))
    unused = delete(BrandImage).where(BrandImage.last_used_at < now - UNUSED_IMAGES_KEPT)
    return len(session.scalars(unused.returning(BrandImage.name)).all())


def email_brand(campaign: Campaign, urls: UrlBuilder) -> EmailBrand:
    """Return what emails show of the campaign's brand."""
    look: Mapping[str, Any] = campaign.brand
    return EmailBrand(
        logo=_email_logo(look.get("logo"), urls),
        logo_dark=_email_logo(look.get("logo_dark"), urls),
        accent=look.get("accent"),
        on_accent=look.get("on_accent"),
        heading_font=look.get("heading_font"),
        postal_address=look.get("postal_address"),
    )


def _email_logo(name: str | None, urls: UrlBuilder) -> EmailLogo | None:
    if name is None:
        return None
    width, height = shown_size(name)
    return EmailLogo(url=urls.image_url(email_image_name(name)), width=width, height=height)
