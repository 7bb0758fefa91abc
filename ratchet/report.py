"""Reports of steps: JSON for programs, Markdown for job summaries, tables for the terminal."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratchet import webhook

REPORTS = Path("reports")
MAX_UNBROKEN = 60  # longer cells may be wrapped
MAX_OUTPUT = 60_000  # GitHub refuses comments above 65,536 characters

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
    outputs: Mapping[str, str] = field(default_factory=dict)  # the step's outputs in GitHub Actions
    page: str = ""  # HTML
    json_alias: str = ""  # a second name for the JSON file
    message: str = ""  # for the webhook, if there is something to say


def publish(report: Report) -> None:
    """Write the report, and log it to the active MLflow run."""
    import mlflow

    mlflow.log_artifacts(str(write_report(report)), "report")


def write_report(report: Report) -> Path:
    """Write reports/<step>/ and, in GitHub Actions, the job summary and the step's outputs.

    If the report has a message, it is sent to the webhook.
    """
    folder = REPORTS / report.step
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report.content, indent=2, default=str)
    for name in filter(None, (report.step, report.json_alias)):
        _write(folder / f"{name}.json", text + "\n")
    _write(folder / f"{report.step}.md", report.markdown)
    if report.page:
        _write(folder / f"{report.step}.html", report.page)
    _append("GITHUB_STEP_SUMMARY", report.markdown)
    write_outputs(report.outputs)
    end = secrets.token_hex(8)  # marks the end of the value; the Markdown cannot contain it
    _append("GITHUB_OUTPUT", f"report<<{end}\n{_shortened(report.markdown)}\n{end}\n")
    if report.message:
        webhook.send(report.message)
    return folder


def write_outputs(outputs: Mapping[str, str]) -> None:
    """Set the step's outputs in GitHub Actions."""
    _append("GITHUB_OUTPUT", "".join(f"{key}={value}\n" for key, value in outputs.items()))


def _shortened(text: str) -> str:
    if len(text) <= MAX_OUTPUT:
        return text
    return f"{text[:MAX_OUTPUT]}\n\nThe rest is in the job summary and in the run's artifacts."


def _write(path: Path, text: str) -> None:
    """Write the file completely or not at all.

    The temporary file is outside the report's folder, because that folder is logged to MLflow.
    """
    temporary = path.parent.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


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
    names, cells = _columns(rows)
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in cells]
    lines = [names, ["---"] * len(names), *escaped]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def html_page(template: Path, title: str, verdict: str, **content: Any) -> str:
    """Render a page that needs no network; the template fills the blocks of report_frame.html."""
    from jinja2 import Environment, FileSystemLoader

    loader = FileSystemLoader([template.parent, Path(__file__).parent])
    environment = Environment(autoescape=True, loader=loader)
    return environment.get_template(template.name).render(title=title, verdict=verdict, **content)


def print_table(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    names, cells = _columns(rows)
    for name, column in zip(names, zip(*cells, strict=True), strict=True):
        # Only long sentences are wrapped.
        table.add_column(name, no_wrap=max(map(len, column)) <= MAX_UNBROKEN)
    for line in cells:
        table.add_row(*line)
    Console(highlight=False, markup=False, width=200).print(table)


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns that are not empty, and the rows' cells."""
    columns = dict.fromkeys(name for row in rows for name in row)
    names = [name for name in columns if any(_cell(row.get(name)) for row in rows)]
    return names, [[_cell(row.get(name)) for name in names] for row in rows]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
