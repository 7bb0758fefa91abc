"""Progress bars."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, label: str) -> list[Item]:
    """Return all items, and show a bar while they arrive."""
    with bar(total, label) as advance:
        arrived = []
        for item in items:
            arrived.append(item)
            advance()
        return arrived


@contextmanager
def bar(total: int, label: str) -> Iterator[Callable[[], None]]:
    """Show a bar, and yield a function that advances it by one."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as display:
        task = display.add_task(label, total=total)
        yield lambda: display.advance(task)
