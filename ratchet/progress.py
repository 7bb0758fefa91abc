from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, what: str) -> list[Item]:
    """All items, with a bar while they come."""
    with bar(total, what) as came:
        done = []
        for item in items:
            done.append(item)
            came()
        return done


@contextmanager
def bar(total: int, what: str) -> Iterator[Callable[[], None]]:
    """Moved on by a call of what it gives."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as shown:
        task = shown.add_task(what, total=total)
        yield lambda: shown.advance(task)
