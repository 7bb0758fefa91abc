"""What a step leaves to read: JSON for machines, Markdown for job summaries, a table for people."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPORTS = Path("reports")
LONGEST_UNBROKEN = 60

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """One named condition of a verdict, with the number that decided it."""

    name: str
    passed: bool
    value: float | str | None
    limit: float | str | None
    note: str = ""


@dataclass(frozen=True)
class Report:
    step: str
    content: Mapping[str, Any]
    markdown: str
    outputs: Mapping[str, str] = field(default_factory=dict)  # of the step, in GitHub Actions
    page: str = ""  # HTML, where a picture helps
    also: str = ""  # a second name of the JSON file


def publish(report: Report) -> None:
    """What `leave` does, and into the active MLflow run."""
    import mlflow

    mlflow.log_artifacts(str(leave(report)), "report")


def leave(report: Report) -> Path:
    """Into reports/<step>/; in GitHub Actions, to the job summary and the step's outputs too."""
    folder = REPORTS / report.step
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.content, indent=2, default=str)
    for name in filter(None, (report.step, report.also)):
        _write(folder / f"{name}.json", text + "\n")
    _write(folder / f"{report.step}.md", report.markdown)
    if report.page:
        _write(folder / f"{report.step}.html", report.page)
    _append("GITHUB_STEP_SUMMARY", report.markdown)
    _append("GITHUB_OUTPUT", "".join(f"{key}={value}\n" for key, value in report.outputs.items()))
    end = secrets.token_hex(8)  # which the Markdown cannot hold
    _append("GITHUB_OUTPUT", f"report<<{end}\n{report.markdown}\n{end}\n")
    return folder


def _write(path: Path, text: str) -> None:
    """Whole or not at all. What a kill leaves lies outside the folder that is logged."""
    beside = path.parent.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _append(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


def markdown_table(rows: Sequence[Row]) -> str:
    """
    >>> print(markdown_table([{"config": "a|b", "accuracy": 0.5, "note": None}]))
    | config | accuracy |
    | --- | --- |
    | a\\|b | 0.5000 |
    """
    if not rows:
        return ""
    names, cells = _filled(rows)
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in cells]
    lines = [names, ["---"] * len(names), *escaped]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def html_page(template: Path, title: str, verdict: str, **content: Any) -> str:
    """One page that needs no network: the template fills the blocks of report_frame.html."""
    from jinja2 import Environment, FileSystemLoader

    folders = FileSystemLoader([template.parent, Path(__file__).parent])
    pages = Environment(autoescape=True, loader=folders)
    return pages.get_template(template.name).render(title=title, verdict=verdict, **content)


def print_table(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    names, cells = _filled(rows)
    for name, column in zip(names, zip(*cells, strict=True), strict=True):
        # A long sentence gives way, so that all else stays whole.
        table.add_column(name, no_wrap=max(map(len, column)) <= LONGEST_UNBROKEN)
    for line in cells:
        table.add_row(*line)
    Console(highlight=False, markup=False, width=200).print(table)


def _filled(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The columns that hold anything, and their cells; a row may lack some."""
    columns = dict.fromkeys(name for row in rows for name in row)
    names = [name for name in columns if any(_cell(row.get(name)) for row in rows)]
    return names, [[_cell(row.get(name)) for name in names] for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
