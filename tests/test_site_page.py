"""The site of a made-up history: what it shows, and in a browser on a desktop and a phone."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.browsers import Page, browser
from tests.histories import FEATURES, METRICS, REASON, MadeUpStore
from tests.projects import new_project, run_python, run_step

NEW_STORE = "import mlflow; mlflow.MlflowClient().search_experiments()"
pytestmark = pytest.mark.slow

WIDTHS = {390: 844, 1280: 900}
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 27, 33)"}


def write_site(project: Path, **arguments: str) -> str:
    done = run_step(project, "site", **arguments)
    assert done.returncode == 0, done.stderr
    return (project / "site" / "index.html").read_text()


def history(folder: Path, versions: int, checks: int, winners: int) -> MadeUpStore:
    done = run_python(["-c", NEW_STORE], new_project(folder))
    assert done.returncode == 0, done.stderr
    made_up = MadeUpStore(folder, versions, checks, winners)
    made_up.write()
    write_site(folder)
    return made_up


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> MadeUpStore:
    return history(tmp_path_factory.mktemp("few"), versions=7, checks=5, winners=3)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> MadeUpStore:
    return history(tmp_path_factory.mktemp("many"), versions=500, checks=120, winners=20)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture(params=["few", "many"])
def made_up(request: pytest.FixtureRequest) -> MadeUpStore:
    found: MadeUpStore = request.getfixturevalue(request.param)
    return found


def open_page(page: Page, folder: Path, file: str = "index.html", width: int = 1280) -> str:
    page.open((folder / "site" / file).as_uri(), width, WIDTHS[width])
    page.until(f"document.readyState === 'complete' && location.href.endsWith('{file}')")
    return str(page.value("document.body.innerText"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits_the_screen_and_loads_nothing(
    made_up: MadeUpStore, page: Page, width: int, scheme: str
):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.call("Emulation.setEmulatedMedia", features=[feature])
    open_page(page, made_up.folder, width=width)
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("getComputedStyle(document.body).backgroundColor") == PAPER[scheme]
    assert page.value("performance.getEntriesByType('resource').length") == 0
    assert page.faults == []


def test_the_page_shows_the_whole_line(made_up: MadeUpStore, page: Page):
    text = open_page(page, made_up.folder)
    assert f"v{made_up.prod} is in production, v{made_up.staging} is tested against it." in text
    assert made_up.sentence in text
    assert REASON in text
    for name in (*METRICS, *FEATURES[:-1], "_b_ _ odd"):
        assert name in text
    assert page.value("document.querySelectorAll('tr[id]').length") == made_up.versions
    assert page.value("document.querySelectorAll('.checks > *').length") == min(made_up.checks, 100)
    assert page.value("document.querySelectorAll('.charts svg').length") == 1 + len(METRICS)
    assert page.value("document.querySelectorAll('.features svg').length") == len(FEATURES)
    dots = f"document.querySelectorAll('a[href^=\"#v\"] .dot').length === {made_up.versions}"
    assert page.value(dots)
    row = page.value("document.getElementById('v2').textContent")
    assert "<b>bold</b>-2" in row
    assert "nan" in row
    paths = "[...document.querySelectorAll('path')].map(one => one.getAttribute('d'))"
    assert "nan" not in page.value(f"{paths}.join()")


def test_a_click_on_a_point_leads_to_the_row_of_its_version(many: MadeUpStore, page: Page):
    open_page(page, many.folder)
    row = "document.getElementById('v12')"
    assert page.value(f"{row}.closest('details').open") is False
    click = "new MouseEvent('click', {bubbles: true, cancelable: true, view: window})"
    page.value(f"document.querySelector('a[href=\"#v12\"]').dispatchEvent({click})")
    page.until(f"location.hash === '#v12' && {row}.closest('details').open")


def test_a_markdown_report_is_a_page_and_its_html_is_text(few: MadeUpStore, page: Page):
    text = open_page(page, few.folder, "report-promote.html")
    assert few.sentence in text
    assert page.value("document.querySelector('td:last-child').textContent") == "<i>1</i>"
    assert page.faults == []


def test_the_page_is_smaller_than_1_mb_with_500_versions(many: MadeUpStore):
    assert many.runs == 1121
    size = sum(file.stat().st_size for file in (many.folder / "site").iterdir())
    assert size < 1_000_000


def test_it_says_since_when_a_version_has_its_role(few: MadeUpStore):
    text = (few.folder / "site" / "index.html").read_text()
    assert few.begin == datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
    assert "automl-4, since 2026-01-06 18:30" in text
    assert "&lt;b&gt;bold&lt;/b&gt;-7, since 2026-01-07 10:30" in text


def test_an_html_report_is_copied_as_it_is(few: MadeUpStore):
    report = few.folder / "site" / "report-drift.html"
    assert report.read_text() == "<!doctype html><title>The drift report</title>"


def test_links_lead_to_the_workflow_or_to_the_server_without_its_password(few: MadeUpStore):
    run_of_v1 = "https://github.com/me/ratchet/actions/runs/1"
    assert f'<a href="{run_of_v1}">v1</a>' in (few.folder / "site" / "index.html").read_text()
    server = "http://me:secret@mlflow.example.org:5000"
    text = write_site(few.folder, server=server)
    address = f"http://mlflow.example.org:5000/#/experiments/0/runs/{1:032x}"
    assert f'<a href="{address}">v1</a>' in text
    assert "secret" not in text


def test_the_decision_of_an_earlier_pair_is_not_the_running_test(few: MadeUpStore, tmp_path: Path):
    shutil.copytree(few.folder, tmp_path / "p")
    sql = "UPDATE registered_model_aliases SET version = 6 WHERE alias = 'staging'"
    script = f"import sqlite3; c = sqlite3.connect('mlflow.db'); c.execute({sql!r}); c.commit()"
    assert run_python(["-c", script], tmp_path / "p").returncode == 0
    text = write_site(tmp_path / "p")
    assert few.sentence not in text
    assert "v6 is tested against v4. No decision about them is recorded yet." in text


def test_an_empty_store_gives_a_page_that_says_so(tmp_path: Path):
    text = write_site(new_project(tmp_path))
    assert "Nothing is in production yet." in text
    assert "Drift has not been checked yet." in text
