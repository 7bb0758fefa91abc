from collections.abc import Iterable
from difflib import get_close_matches


class InputError(Exception):
    """The input was wrong. One line: what was got, what was expected, how to mend it."""

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())  # names and values may hold line breaks
        super().__init__(line.encode("utf-8", "backslashreplace").decode())


def nearest(word: str, known: Iterable[str]) -> str:
    """
    >>> nearest("tarqet", ["target", "source"])
    "did you mean 'target'?"
    >>> nearest("zzz", ["target", "source"])
    'known: source, target'
    """
    known = sorted(known)
    match = get_close_matches(word, known, n=1)
    return f"did you mean '{match[0]}'?" if match else f"known: {', '.join(known)}"
