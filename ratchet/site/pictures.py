"""The charts of the page, as SVG without scripts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 170, 54, 8, 12, 22

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points of one kind. `links` has an address and a title per point; none draws no links."""

    style: str  # the CSS class
    points: Sequence[Point]
    shape: Literal["dots", "line", "steps"] = "dots"
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Axes:
    x: tuple[float, float]
    y: tuple[float, float]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM

    def place(self, point: Point) -> str:
        """Return the place of a point, as SVG writes it.

        >>> Axes((0, 10), (0, 1), 100, 50, 0, 0, 0, 0).place((5, 1))
        '50 0'
        """
        across = self.width - self.left - self.right
        down = self.height - self.top - self.bottom
        x = self.left + across * _share(point[0], self.x)
        y = self.top + down * (1 - _share(point[1], self.y))
        return f"{_short(x)} {_short(y)}"


def short_number(value: float) -> str:
    """
    >>> short_number(0.91234), short_number(0.0095), short_number(600_123.4)
    ('0.912', '0.0095', '600,123')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _share(value: float, ends: Point) -> float:
    """Return the place of the value between the ends, from 0 to 1; a half if they are equal."""
    return (value - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.5


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def chart(
    title: str,
    series: Sequence[Series],
    x_labels: tuple[str, str],
    limit: float | None = None,
    y_text: Callable[[float], str] | None = None,
) -> str:
    """Return a chart with the values of the ends on both axes, and the limit as a dashed line."""
    points = [point for one in series for point in one.points]
    values = [y for _, y in points] + ([] if limit is None else [limit])
    axes = Axes(_ends([x for x, _ in points]), _ends(values))
    low, high = axes.y
    y_text = y_text or short_number
    drawn = [
        f'<path class="axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>',
        _text(LEFT - 5, TOP + 5, y_text(high), "end"),
        _text(LEFT - 5, HEIGHT - BOTTOM, y_text(low), "end") if high > low else "",
        _text(LEFT, HEIGHT - 6, x_labels[0]),
        _text(WIDTH - RIGHT, HEIGHT - 6, x_labels[1], "end") if x_labels[1] != x_labels[0] else "",
        _limit(limit, axes),
        *(mark for one in series for mark in _marks(one, axes)),
    ]
    return _svg(title, WIDTH, HEIGHT, "".join(drawn))


def sparkline(title: str, points: Sequence[Point], x: Point, limit: float) -> str:
    """Return a line without axes; the limit is always visible, and dashed."""
    top = max(2 * limit, *(y for _, y in points))
    axes = Axes(x, (0, top), 150, 30, 3, 3, 3, 3)
    marks = [
        *_marks(Series("prod", points, "line"), axes),
        *_marks(Series("last", points[-1:]), axes),
    ]
    return _svg(title, 150, 30, _limit(limit, axes) + "".join(marks))


def _marks(series: Series, axes: Axes) -> Iterator[str]:
    """Draw all points as one path, because an element per point makes the page ten times larger."""
    if not series.points:
        return
    places = [axes.place(point) for point in series.points]
    if series.shape == "dots" and series.links:
        for place, (address, name) in zip(places, series.links, strict=True):
            path = f'<path class="dot {series.style}" d="M{place}h0"/>'
            yield f'<a href="{escape(address)}">{path}<title>{escape(name)}</title></a>'
    elif series.shape == "dots":
        yield f'<path class="dot {series.style}" d="M{"h0M".join(places)}h0"/>'
    elif series.shape == "line":
        yield f'<path class="curve {series.style}" d="M{"L".join(places)}"/>'
    else:
        pairs = [place.split() for place in places]
        steps = "".join(f"H{x}V{y}" for x, y in pairs[1:])
        yield f'<path class="curve {series.style}" d="M{places[0]}{steps}"/>'


def _limit(limit: float | None, axes: Axes) -> str:
    if limit is None:
        return ""
    start, end = axes.place((axes.x[0], limit)), axes.place((axes.x[1], limit))
    if start == end:  # all points have the same x
        y = start.split()[1]
        start, end = f"{axes.left} {y}", f"{axes.width - axes.right} {y}"
    return f'<path class="limit" d="M{start}L{end}"/>'


def _ends(values: Sequence[float]) -> Point:
    return (min(values), max(values)) if values else (0.0, 0.0)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, width: int, height: int, drawn: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img">'
        f"<title>{escape(title)}</title>{drawn}</svg>"
    )
