"""Thirty days of a shop's jobs and messages, drawn from a seed, with incidents for an analyst to find.

People leave by one template; the addresses of one domain are dead; one day a large provider refuses mail; one hour
Customer.io is down; a template is deleted while jobs still name it; and a few people get far too much.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from local.demo.catalogue import BASKET, CAMPAIGNS, DOMAINS, OTHER_JOBS, PEOPLE, SENDS, WINBACK, Mailing
from local.demo.job_life import JobLife
from local.demo.message_life import Draw, MessageLife, Person, Refusal, Template
from shared.outcome_message import OutcomeMessage

DAYS: Final = 30
_SEED: Final = 7
# The times of a mailing to many, in minutes after its moment: the median, and sigma of a log-normal.
_MAILING: Final = (40, 0.5)
_RESET_LIFETIME: Final = timedelta(days=1 / 96)  # a quarter of an hour

# The incidents. Days count from 0.
_OUTAGE_DAY: Final = 12
_OUTAGE_BEGIN: Final = time(13, 40)
_OUTAGE_END: Final = time(15, 5)
_REFUSAL_DAY: Final = 20
_REFUSING_PROVIDER: Final = "bigmail.example"
_SHARE_REFUSED: Final = 0.45
_DELETION_DAY: Final = 22
_DYING_DOMAIN: Final = "oldmail.example"
_SHARE_OF_DEAD_ADDRESSES: Final = 0.4
_OVERWHELMED_PEOPLE: Final = 14

# What goes wrong on any day, as shares.
_SHARE_OF_OTHER_BOUNCES: Final = 0.002
_SHARE_UNKNOWN: Final = 0.0015
_SHARE_INVALID: Final = 0.004

_GONE: Final = "550 5.1.1 <{address}>: no such user"
_BLOCKED: Final = "421 4.7.0 too many messages from this sender, try again later"
_SUPPRESSED: Final = "the address bounced before"


@dataclass(frozen=True, slots=True)
class History:
    """The body of each webhook with the time it came, and the outcome of each attempt at a job."""

    events: Sequence[tuple[bytes, datetime]]
    outcomes: Sequence[OutcomeMessage]


def history(last_day: date) -> History:
    """Make the thirty days that end with ``last_day``, which is whole. The same day always gives the same history."""
    return _Writer(last_day).write()


class _Writer:
    def __init__(self, last_day: date) -> None:
        self._first_day = last_day - timedelta(days=DAYS - 1)
        self._end = datetime.combine(last_day + timedelta(days=1), time(), UTC)
        name = f"demo-{self._first_day:%Y%m%d}"
        self._draw = Draw(_SEED)
        self._life = MessageLife(self._draw, name)
        self._jobs = JobLife(
            self._draw, name, (self._at(_OUTAGE_DAY, _OUTAGE_BEGIN), self._at(_OUTAGE_DAY, _OUTAGE_END))
        )
        self._people = self._draw_people()
        self._dead: set[str] = set()
        self._opted_out: set[str] = set()
        self._events: list[tuple[bytes, datetime]] = []

    def write(self) -> History:
        for day in range(DAYS):
            self._sends(day)
            self._campaigns(day)
            self._other_jobs(day)
        return History(self._events, self._jobs.outcomes)

    def _draw_people(self) -> list[Person]:
        domains = self._draw.choices(list(DOMAINS), list(DOMAINS.values()), k=PEOPLE)
        return [Person(number, f"p{number}", domain) for number, domain in enumerate(domains)]

    def _sends(self, day: int) -> None:
        """Write what the application publishes as send jobs."""
        for mailing in SENDS:
            for person, moment in self._recipients(mailing, day):
                self._send(mailing, person, moment, day)

    def _campaigns(self, day: int) -> None:
        """Write what Customer.io sends by itself."""
        for mailing in CAMPAIGNS:
            for person, moment in self._recipients(mailing, day):
                self._message(mailing, person, moment, day)
        # A basket that is never emptied: the campaign takes these people again and again.
        for person in self._people[:_OVERWHELMED_PEOPLE]:
            for _ in range(self._draw.choice((1, 2, 2))):
                self._message(BASKET, person, self._any_moment(day), day)

    def _recipients(self, mailing: Mailing, day: int) -> Iterator[tuple[Person, datetime]]:
        for _ in range(self._about(mailing.daily)):
            yield self._draw.choice(self._people), self._any_moment(day)
        if day in mailing.days:
            for person in self._draw.sample(self._people, mailing.size):
                yield person, self._draw.later(self._at(day, mailing.moment), *_MAILING)

    def _other_jobs(self, day: int) -> None:
        for kind, daily in OTHER_JOBS.items():
            for _ in range(self._about(daily)):
                job, subject, published = (
                    self._jobs.new_job(),
                    self._draw.choice(self._people).id,
                    self._any_moment(day),
                )
                if kind == "track" and self._draw.happens(_SHARE_INVALID):
                    why = {"error_class": "invalid_job", "reason": "invalid", "requested": False}
                    self._jobs.failed(kind, job, subject, published, **why)
                else:
                    self._jobs.done(kind, job, subject, published)

    def _send(self, mailing: Mailing, person: Person, published: datetime, day: int) -> None:
        if mailing.marketing and person.id in self._opted_out:
            return
        job = self._jobs.new_job()
        if why := self._failure(mailing, published, day):
            self._jobs.failed("send", job, person.id, published, **why)
        else:
            delivery = f"delivery-{job}"
            sent = self._jobs.done("send", job, person.id, published, delivery)
            self._message(mailing, person, sent, day, delivery)

    def _failure(self, mailing: Mailing, published: datetime, day: int) -> dict[str, Any] | None:
        if mailing is WINBACK and day >= _DELETION_DAY:
            return {"error_class": "rejected", "reason": "rejected", "status": 404}
        if mailing.expires and self._jobs.too_late(published, _RESET_LIFETIME):
            return {"error_class": "expired", "reason": "expired", "requested": False}
        if self._draw.happens(_SHARE_UNKNOWN):
            return {"error_class": "unknown_outcome", "reason": "unknown_outcome", "status": 500}
        return None

    def _message(self, mailing: Mailing, person: Person, sent: datetime, day: int, delivery: str = "") -> None:
        if mailing.marketing and person.id in self._opted_out:
            return
        refusal = self._refusal(mailing.template, person, day)
        name = delivery or f"delivery-{self._jobs.new_job()}"
        for metric, at, body in self._life.events(mailing.template, person, name, sent, refusal):
            if at >= self._end:
                continue
            self._events.append((body, at))
            if metric == "unsubscribed":
                self._opted_out.add(person.id)

    def _refusal(self, template: Template, person: Person, day: int) -> Refusal | None:
        if template.channel != "email":
            return None
        if person.id in self._dead:
            return Refusal("dropped", _SUPPRESSED)
        gone = person.domain == _DYING_DOMAIN and person.number % 10 < 10 * _SHARE_OF_DEAD_ADDRESSES
        if gone or self._draw.happens(_SHARE_OF_OTHER_BOUNCES):
            self._dead.add(person.id)
            return Refusal("bounced", _GONE.format(address=person.email))
        if day == _REFUSAL_DAY and person.domain == _REFUSING_PROVIDER and self._draw.happens(_SHARE_REFUSED):
            return Refusal("bounced", _BLOCKED)
        return None

    def _about(self, number: int) -> int:
        return round(number * self._draw.uniform(0.85, 1.15))

    def _at(self, day: int, moment: time) -> datetime:
        return datetime.combine(self._first_day + timedelta(days=day), moment, UTC)

    def _any_moment(self, day: int) -> datetime:
        """Draw a moment of the day; most are in the afternoon."""
        return self._at(day, time()) + timedelta(days=self._draw.triangular(0, 0.999, 0.62))
