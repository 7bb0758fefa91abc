"""Progress bars, and lines that are printed once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

Item = TypeVar("Item")


@cache
def print_once(line: str) -> None:
    """Print a line, but not again in this process."""
    print(line, flush=True)


def progress(items: Iterable[Item], total: int, label: str) -> list[Item]:
    """Return all items, and show a bar while they arrive."""
    with bar(total, label) as advance:
        arrived = []
        for item in items:
            arrived.append(item)
            advance()
        return arrived


@contextmanager
def bar(total: int | None, label: str) -> Iterator[Callable[..., None]]:
    """Show a bar, and yield a function that advances it by one, or by the number it is given."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as display:
        task = display.add_task(label, total=total)
        yield lambda count=1: display.advance(task, count)
