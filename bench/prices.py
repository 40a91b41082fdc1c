"""Published prices in US dollars, each with its source and the day on which it was read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """One price.

    Args:
        dollars: Price of ``per`` units.
        per: Number of units.
        unit: What is counted.
        free: Units that are free each month; told, and not counted.
        source: Page that says so.
    """

    dollars: float
    per: float
    unit: str
    free: float
    source: str

    def of(self, units: float) -> float:
        """The price of so many units, none of them free: what is free is used up once, whatever uses it."""
        return units / self.per * self.dollars


# Region us-central1, without committed use. The pages were read as copies, which may be older than the day.
READ_ON = "2026-11-25"
_GIB = 2.0**30
_RUN = "https://cloud.google.com/run/pricing"
_FIRESTORE = "https://cloud.google.com/firestore/pricing"
PRICES = {
    "run_cpu": Price(0.000024, 1, "vCPU-second while a request is open", 180_000, _RUN),
    "run_memory": Price(0.0000025, 1, "GiB-second while a request is open", 360_000, _RUN),
    "run_requests": Price(0.40, 1e6, "request", 2e6, _RUN),
    "pubsub": Price(
        40.0, 2.0**40, "byte, published or delivered", 10 * _GIB, "https://cloud.google.com/pubsub/pricing"
    ),
    "firestore_writes": Price(0.09, 1e5, "document written", 0, _FIRESTORE),
    "firestore_deletes": Price(0.01, 1e5, "document deleted when it expires", 0, _FIRESTORE),
    "bigquery": Price(0.01, 200e6, "byte streamed", 0, "https://cloud.google.com/bigquery/pricing"),
    "logging": Price(0.50, _GIB, "byte of logs", 50 * _GIB, "https://cloud.google.com/stackdriver/pricing"),
    "secrets": Price(0.06, 1, "secret version", 6, "https://cloud.google.com/secret-manager/pricing"),
}
