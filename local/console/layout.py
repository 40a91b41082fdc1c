"""Coordinates of the flow's picture: one layout for wide windows, one for narrow ones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from local.console.flow import customerio_kinds
from shared.topology import topology


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in the picture's units."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.y + self.height / 2

    def lowered(self, distance: float) -> "Box":
        return Box(self.x, self.y + distance, self.width, self.height)


class Columns(NamedTuple):
    """Where a row's topic, its lanes and its function are drawn."""

    topic: Box
    lanes: Box
    target: Box


@dataclass(frozen=True, slots=True)
class LaneBox:
    """One lane of a row."""

    lane: str
    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Title:
    """Words above a column."""

    text: str
    x: float


@dataclass(frozen=True, slots=True)
class Row:
    """One topic: its box, its lanes, its function and the edges between them, as paths."""

    kind: str
    topic_name: str
    function: str
    topic: Box
    lanes: Sequence[LaneBox]
    target: Box
    to_lanes: str
    to_function: str
    onward: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that the picture's template draws."""

    name: str
    width: float
    height: float
    titles: Sequence[Title]
    rows: Sequence[Row]
    customerio: Box
    webhook: Box
    events: Sequence[LaneBox]
    bigquery: Box
    to_webhook: str
    to_events: str
    to_bigquery: str


def wide() -> Picture:
    """Topics at the left, Customer.io at the right, and the webhooks' way back below."""
    box, step, top = 46.0, 60.0, 26.0
    customerio = Box(836, top, 164, step * (len(customerio_kinds()) - 1) + box)
    columns = Columns(topic=Box(0, top, 168, box), lanes=Box(214, top, 336, box), target=Box(596, top, 170, box))
    rows = _rows(columns, step, gap=12, onward=lambda target: _line(target.right, customerio.x, target.middle))
    y = customerio.bottom + 42
    webhook, bigquery = Box(596, y, 170, box), Box(0, y, 168, box)
    events = _event_lanes(Box(214, y, 336, box), gap=12)
    drop = customerio.x + customerio.width / 2
    corner = f"M{drop} {customerio.bottom} V{webhook.middle - 10} q0 10 -10 10 H{webhook.right}"
    return Picture(
        "wide",
        customerio.right,
        webhook.bottom,
        _titles(0, 214, 596),
        rows,
        customerio,
        webhook,
        events,
        bigquery,
        corner,
        _line(webhook.x, events[0].box.right, webhook.middle),
        _line(events[-1].box.x, bigquery.right, webhook.middle),
    )


def narrow() -> Picture:
    """One row per topic, Customer.io below them, and the webhooks' way back below that."""
    box, step, width, top = 46.0, 58.0, 358.0, 22.0
    bottom = top + step * (len(customerio_kinds()) - 1) + box
    customerio = Box(0, bottom + 26, width, box)
    columns = Columns(topic=Box(0, top, 104, box), lanes=Box(114, top, 122, box), target=Box(246, top, 96, box))
    rows = _rows(
        columns,
        step,
        gap=4,
        onward=lambda target: f"M{target.right} {target.middle} H{width - 12} q6 0 6 6 V{customerio.y}",
    )
    y = customerio.bottom + 26
    webhook, bigquery = Box(246, y, 112, box), Box(0, y, 104, box)
    events = _event_lanes(Box(114, y, 122, box), gap=4)
    return Picture(
        "narrow",
        width,
        webhook.bottom,
        _titles(0, 114, 246),
        rows,
        customerio,
        webhook,
        events,
        bigquery,
        f"M302 {customerio.bottom} V{webhook.y}",
        _line(webhook.x, events[0].box.right, webhook.middle),
        _line(events[-1].box.x, bigquery.right, webhook.middle),
    )


def _rows(columns: Columns, step: float, *, gap: float, onward: Callable[[Box], str]) -> list[Row]:
    """Place the kinds below each other.

    Args:
        columns: Boxes of the first row.
        step: Distance from a row to the next one.
        gap: Distance between two lanes.
        onward: Returns the path from a function's box to Customer.io's.
    """
    rows = []
    for number, kind in enumerate(customerio_kinds()):
        topic, area, target = (box.lowered(number * step) for box in columns)
        lanes = _lanes(kind, area, gap=gap)
        rows.append(
            Row(
                kind,
                topology().topics[kind].name,
                topology().topics[kind].function,
                topic,
                lanes,
                target,
                _line(topic.right, lanes[0].box.x, topic.middle),
                _line(lanes[-1].box.right, target.x, topic.middle),
                onward(target),
            )
        )
    return rows


def _lanes(kind: str, area: Box, *, gap: float) -> list[LaneBox]:
    names = topology().topics[kind].lanes
    width = (area.width - gap * (len(names) - 1)) / len(names)
    return [
        LaneBox(name, name, Box(area.x + number * (width + gap), area.y, width, area.height))
        for number, name in enumerate(names)
    ]


def _event_lanes(area: Box, *, gap: float) -> list[LaneBox]:
    """Place the lanes of the events from right to left, as they are passed on the way back."""
    placed = _lanes("events", area, gap=gap)
    boxes = [each.box for each in reversed(placed)]
    return [
        LaneBox(each.lane, "events" if number == 0 else each.label, box)
        for number, (each, box) in enumerate(zip(placed, boxes, strict=True))
    ]


def _titles(topic: float, lanes: float, function: float) -> list[Title]:
    return [Title("Topic", topic), Title("Lanes, and what waits", lanes), Title("Function", function)]


def _line(start: float, end: float, y: float) -> str:
    return f"M{start} {y} H{end}"
