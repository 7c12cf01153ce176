"""Campaigns and the pledge options that they offer."""

import datetime
import uuid
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from schemas.enums import Frequency
from service.db.base import Base, UUIDPrimaryKey
from service.db.types import StringEnum, enum_check


class Campaign(UUIDPrimaryKey, Base):
    """One appeal: its texts, currencies, frequencies and reminder choices.

    Late emails are sent between the hours `send_hour` and `send_until` (exclusive) of the supporter's local time.
    `reminder_repeats` are the intervals, in months, at which a reminder may repeat. With `reminder_confirm`, a
    supporter confirms a reminder before any is sent. With `reminder_pick_date`, they may pick its day. `currency`
    is the default one. `cover_fees` maps a currency to the gateway's fee on a payment: `basis_points` of the
    amount and a `fixed` amount in minor units. `impact` says what amounts pay for: by currency, frequency, and
    amount in minor units. A box that may remember it stays hidden for `quiet_days` after its reader closed it.
    Receipts show `legal_name` and `tax_line`. `brand` has the keys of
    `schemas.brand.BrandSchema` that are set. While it is closed (`closed_at`), it takes no pledges and sends no
    reminders. `product_name` is the name that the campaign's product was last given at the payment gateway.
    The email before an annual renewal is sent at least `notices_renewal_days` before it. With
    `notices_monthly_yearly`, monthly supporters get an email once a year.
    """

    __tablename__ = "campaigns"
    __table_args__ = (
        UniqueConstraint("slug"),
        CheckConstraint("send_hour BETWEEN 0 AND 23", name="send_hour_in_a_day"),
        CheckConstraint("notices_renewal_days BETWEEN 1 AND 60", name="notices_renewal_days_in_range"),
        CheckConstraint("quiet_days BETWEEN 1 AND 365", name="quiet_days_in_a_year"),
        enum_check("default_frequency", Frequency, name="default_frequency_known"),
    )

    slug: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    heading: Mapped[str] = mapped_column(Text)
    message: Mapped[list[str]]
    currency: Mapped[str] = mapped_column(String(3))
    lang: Mapped[str] = mapped_column(String(35))
    default_frequency: Mapped[Frequency] = mapped_column(StringEnum(Frequency))
    reminder_enabled: Mapped[bool]
    reminder_choices: Mapped[list[int]]
    reminder_repeats: Mapped[list[int]] = mapped_column(server_default="[]")
    reminder_confirm: Mapped[bool] = mapped_column(server_default=false())
    reminder_pick_date: Mapped[bool] = mapped_column(server_default=false())
    notices_monthly_yearly: Mapped[bool] = mapped_column(server_default=false())
    notices_renewal_days: Mapped[int] = mapped_column(server_default="14")
    privacy_url: Mapped[str | None] = mapped_column(Text)
    support_url: Mapped[str | None] = mapped_column(Text)
    contact_url: Mapped[str | None] = mapped_column(Text)
    newsletter_url: Mapped[str | None] = mapped_column(Text)
    origins: Mapped[list[str]]
    return_hosts: Mapped[list[str]]
    timezone: Mapped[str] = mapped_column(String(64))
    send_hour: Mapped[int]
    send_until: Mapped[int] = mapped_column(server_default="21")
    texts: Mapped[dict[str, Any]]
    cover_fees: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    impact: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    quiet_days: Mapped[int] = mapped_column(server_default="30")
    legal_name: Mapped[str | None] = mapped_column(Text)
    tax_line: Mapped[str | None] = mapped_column(Text)
    brand: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    product_name: Mapped[str | None] = mapped_column(Text)
    closed_at: Mapped[datetime.datetime | None]
    updated_at: Mapped[datetime.datetime]

    pledge_options: Mapped[list["PledgeOption"]] = relationship(
        order_by="PledgeOption.position", cascade="all, delete-orphan", lazy="selectin"
    )


class PledgeOption(Base):
    """The amounts offered for one frequency in one currency, in minor units.

    The widget shows them and the server validates against them, so both read this table.
    """

    __tablename__ = "pledge_options"
    __table_args__ = (
        enum_check("frequency", Frequency, name="frequency_known"),
        CheckConstraint("minimum_minor > 0", name="minimum_positive"),
        CheckConstraint(
            "default_minor >= minimum_minor AND default_minor <= maximum_minor", name="default_within_limits"
        ),
    )

    campaign_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True
    )
    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    frequency: Mapped[Frequency] = mapped_column(StringEnum(Frequency), primary_key=True)
    position: Mapped[int]
    presets_minor: Mapped[list[int]]
    default_minor: Mapped[int] = mapped_column(BigInteger)
    minimum_minor: Mapped[int] = mapped_column(BigInteger)
    maximum_minor: Mapped[int] = mapped_column(BigInteger)


class BrandImage(Base):
    """A logo, which web processes serve at an address with its name.

    The name has a hash of the content in it, and its size: `<hash>-<width>x<height>.<type>`. `email_png` is a copy
    for emails. `last_used_at` is when a campaign was last known to use it.
    """

    __tablename__ = "brand_images"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    email_png: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime.datetime]
    last_used_at: Mapped[datetime.datetime]
