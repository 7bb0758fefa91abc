"""Writes the site's files."""

from pathlib import Path

from ratchet.settings import Settings
from ratchet.site.page import index_page, report_file, report_page
from ratchet.site.records import History

INDEX = "index.html"


def write_site(folder: Path, history: History, settings: Settings, written: str) -> int:
    """Write the page and its reports into the folder, and return their size in bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {report_file(report): report_page(report) for report in history.reports}
    files[INDEX] = index_page(history, settings, written)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return sum(len(text.encode()) for text in files.values())
