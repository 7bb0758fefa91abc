from collections.abc import Iterable
from difflib import get_close_matches

MOST_NAMES = 40  # a message lists at most this many names


class InputError(Exception):
    """Wrong input. Its message is one line: what was found, what was expected, what to do."""

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())  # a name or a value may contain a line break
        super().__init__(line.encode("utf-8", "backslashreplace").decode())


def one_line(error: BaseException, longest: int = 300) -> str:
    """Return the message of any exception as one line.

    >>> one_line(ValueError("Input X contains NaN.\\nUse an imputer."))
    'Input X contains NaN. Use an imputer.'
    >>> one_line(KeyError())
    'KeyError'
    """
    lines = str(error).splitlines()
    if any("Traceback" in line for line in lines):  # the cause is the last line that is not empty
        lines = [line for line in lines if line.strip()][-1:]
    text = " ".join(" ".join(lines).split()) or type(error).__name__
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint for a word that is not known.

    >>> nearest("tarqet", ["target", "source"])
    "did you mean 'target'?"
    >>> nearest("zzz", ["target", "source"])
    'known: source, target'
    """
    known = sorted(known)
    match = get_close_matches(word, known, n=1)
    if match:
        return f"did you mean '{match[0]}'?"
    more = f" and {len(known) - MOST_NAMES} more" if len(known) > MOST_NAMES else ""
    return f"known: {', '.join(known[:MOST_NAMES])}{more}"
