"""The shop of the thirty days: who gets messages, from which templates, and how people react to each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any, Final

from local.demo.message_life import Template

PEOPLE: Final = 1_500
# Share of people by domain of their address.
DOMAINS: Final = {"bigmail.example": 0.46, "post.example": 0.27, "firm.example": 0.21, "oldmail.example": 0.06}
# Jobs of other kinds on an ordinary day.
OTHER_JOBS: Final = {"identify": 45, "track": 90, "sync": 18}


@dataclass(frozen=True, slots=True)
class Mailing:
    """Messages made from one template, campaign or newsletter.

    Args:
        template: How people react.
        daily: Number on an ordinary day.
        days: Days on which it goes to many at once, counted from 0.
        size: Number of people then.
        moment: When on such a day.
        expires: Whether a job is pointless after a quarter of an hour.
        marketing: Whether those who unsubscribed are left out.
    """

    template: Template
    daily: int = 0
    days: tuple[int, ...] = ()
    size: int = 0
    moment: time = time(9)
    expires: bool = False
    marketing: bool = True


def _template(fields: Mapping[str, Any], subject: str, **reactions: float) -> Template:
    return Template(fields=fields, subject=subject, **reactions)  # type: ignore[arg-type]


PASSWORD_RESET: Final = Mailing(
    _template(
        {"transactional_message_id": "password-reset"},
        "Reset your password",
        open_share=0.86,
        open_median=1.6,
        click_share=0.85,
    ),
    daily=90,
    expires=True,
    marketing=False,
)
ORDER_RECEIPT: Final = Mailing(
    _template(
        {"transactional_message_id": "order-receipt"}, "Your order", open_share=0.62, open_median=14, click_share=0.2
    ),
    daily=70,
    marketing=False,
)
DELIVERY_CODE: Final = Mailing(
    Template(fields={"transactional_message_id": "delivery-code"}, channel="sms"), daily=20, marketing=False
)
WINBACK: Final = Mailing(
    _template(
        {"transactional_message_id": "winback-offer"},
        "We miss you",
        open_share=0.2,
        open_median=160,
        click_share=0.1,
        opt_out_share=0.004,
    ),
    daily=11,
)
DIGEST: Final = Mailing(
    _template(
        {"transactional_message_id": "weekly-digest"},
        "Your week",
        open_share=0.24,
        open_median=190,
        click_share=0.08,
        opt_out_share=0.024,
    ),
    days=(3, 10, 17, 24),
    size=420,
)
WELCOME: Final = Mailing(
    _template(
        {"campaign_id": 11},
        "Welcome",
        open_share=0.52,
        open_median=45,
        click_share=0.35,
        opt_out_share=0.002,
        conversion_share=0.22,
    ),
    daily=22,
)
BASKET: Final = Mailing(
    _template(
        {"campaign_id": 12},
        "Still in your basket",
        open_share=0.41,
        open_median=70,
        click_share=0.24,
        opt_out_share=0.004,
        conversion_share=0.31,
    ),
    daily=34,
)
NEWSLETTER: Final = Mailing(
    _template(
        {"newsletter_id": 31},
        "New in the shop",
        open_share=0.27,
        open_median=210,
        click_share=0.12,
        opt_out_share=0.003,
        conversion_share=0.05,
    ),
    days=(6, 20),
    size=700,
    moment=time(10),
)

# What the application publishes as send jobs, and what Customer.io sends by itself.
SENDS: Final = (PASSWORD_RESET, ORDER_RECEIPT, DELIVERY_CODE, WINBACK, DIGEST)
CAMPAIGNS: Final = (WELCOME, BASKET, NEWSLETTER)
