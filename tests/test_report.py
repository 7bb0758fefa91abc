"""Reports of steps: files, the job summary and the outputs."""

import json
from pathlib import Path

import pytest

from ratchet.report import Report, write_report


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path


def test_a_report_is_json_markdown_a_summary_and_outputs(folder: Path):
    report = Report("train", {"n": 1}, "## Train\n", {"trained": "1"}, json_alias="result")
    where = write_report(report)
    assert json.loads((where / "train.json").read_text()) == {"n": 1}
    assert (where / "result.json").read_text() == (where / "train.json").read_text()
    assert (where / "train.md").read_text() == "## Train\n"
    assert (folder / "GITHUB_STEP_SUMMARY").read_text() == "## Train\n"
    assert (folder / "GITHUB_OUTPUT").read_text().startswith("trained=1\nreport<<")


def test_a_long_report_is_shortened_in_the_output_only(folder: Path):
    """GitHub refuses comments above 65,536 characters and variables above 128 KiB."""
    text = "a row\n" * 30_000
    where = write_report(Report("train", {}, text))
    assert (where / "train.md").read_text() == text
    output = (folder / "GITHUB_OUTPUT").read_text()
    assert len(output) < 61_000
    assert "The rest is in the job summary" in output
