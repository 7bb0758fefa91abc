"""The pictures of the README and of docs/, from a real run: python -m docs.screenshots

The line runs in a clone of the last commit, up to the gate of what AutoML found; an A/B test and
its promotion follow. This checkout's store stays as it is. Needs Chromium.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from markdown_it import MarkdownIt
from PIL import Image

from tests.browsers import Page, browser
from tests.projects import REPOSITORY, clone, run_step, tracking_server
from tests.services import Service, serving

SECONDS_TO_SETTLE = 3  # MLflow draws its charts again when their container has its size
PICTURES = REPOSITORY / "docs/pictures"
UI_SEEN_BEFORE = """
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true")
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"')
"""
VERSIONS = "compareRunsMode=CHART&searchFilter=tags.config!=''&orderByKey=metrics.%60accuracy%60"
AS_GITHUB = """<!doctype html><meta charset="utf-8"><title>summary</title><style>
  body { font: 14px/1.5 system-ui, sans-serif; color: #1f2328; margin: 0 24px }
  h2 { font-size: 21px; padding-bottom: 6px; border-bottom: 1px solid #d1d9e0 }
  table { border-collapse: collapse }
  th, td { padding: 6px 13px; border: 1px solid #d1d9e0; text-align: left }
  tr:nth-child(2n) { background: #f6f8fa }
</style>"""


@dataclass(frozen=True)
class Photographer:
    page: Page

    def take(
        self, name: str, address: str, width: int, height: int, ready: str, last: str, act: str = ""
    ) -> None:
        """Take the page down to `last`, when the script `ready` is true and `act` has run."""
        file = PICTURES / f"{name}.png"
        self.page.open(address, width, height, scale=2)
        self.page.until(ready)
        self.page.value(act)
        time.sleep(SECONDS_TO_SETTLE)
        self.page.until(ready)
        self.page.picture(file, last)
        Image.open(file).quantize(dither=Image.Dither.NONE).save(file, optimize=True)
        print(f"{file.relative_to(REPOSITORY)}: {file.stat().st_size / 1000:.0f} kB", flush=True)


def main() -> None:
    with TemporaryDirectory() as name, browser(Path(name)) as page:
        folder, photographer = Path(name), Photographer(page)
        line = clone(folder / "ratchet")
        environments = REPOSITORY / ".ratchet/environments"
        environments.mkdir(parents=True, exist_ok=True)
        (line / ".ratchet").mkdir()
        (line / ".ratchet/environments").symlink_to(environments)
        summary = folder / "summary.md"
        step(line, "main", summary, until="gate")
        take_summary(photographer, summary)
        take_report(photographer, line, "drift", 1100, last="p:last-of-type")
        take_tracking(photographer, line)
        with ab_test(line, folder, summary) as service:
            two_arms = "document.querySelectorAll('#curve polyline').length === 2"
            photographer.take("ab", f"{service.address}/ab", 1000, 960, two_arms, "#curve")
        step(line, "promote", summary, log=f"sqlite:///{folder}/predictions.db")
        take_report(photographer, line, "promote", 900, last="svg ~ svg")


def step(line: Path, name: str, summary: Path, **arguments: str) -> None:
    print(f"{name} runs", flush=True)
    env = {"GITHUB_STEP_SUMMARY": str(summary), "BENTOML_HOME": str(summary.parent / "bentoml")}
    done = run_step(line, name, env, **arguments)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def take_summary(photographer: Photographer, summary: Path) -> None:
    """Take the summary of the job in train.yml (train and gate), rendered as on GitHub."""
    text = summary.read_text().partition("## Package")[0]
    page = summary.with_suffix(".html")
    page.write_text(AS_GITHUB + MarkdownIt("commonmark").enable("table").render(text))
    photographer.take("summary", page.as_uri(), 1040, 700, "document.title", "table ~ table")


def take_report(photographer: Photographer, line: Path, name: str, width: int, last: str) -> None:
    page = line / "reports" / name / f"{name}.html"
    photographer.take(name, page.as_uri(), width, 700, "document.title", last)


def take_tracking(photographer: Photographer, line: Path) -> None:
    photographer.page.call("Page.addScriptToEvaluateOnNewDocument", source=UI_SEEN_BEFORE)
    with tracking_server(line.parent, f"sqlite:///{line}/mlflow.db") as address:
        drawn = "document.querySelectorAll('.js-plotly-plot .points').length >= 3"
        no_tools = (  # which hovering shows, and a browser without a mouse always
            "document.head.append(Object.assign(document.createElement('style'),"
            " {textContent: '.modebar {display: none}'}))"
        )
        runs = f"{address}/#/experiments/0/runs?{VERSIONS}"
        photographer.take("runs", runs, 1400, 684, drawn, "body", no_tools)
        photographer.page.open("about:blank", 1400, 740)  # the next differs by its fragment alone
        staged = "document.body.innerText.includes('@\\u00a0staging')"
        fold_tags = "document.querySelector('[aria-expanded=true]').click()"  # the ledger's lines
        model = f"{address}/#/models/iris"
        photographer.take("registry", model, 1400, 740, staged, "body", fold_tags)


@contextmanager
def ab_test(line: Path, folder: Path, summary: Path) -> Iterator[Service]:
    """Serve half a minute of traffic with known accuracies: 80 % for prod, 95 % for staging."""
    with serving(line, folder) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
        service.put("/split", {"ab_split_b": 0.5})
        step(
            line,
            "traffic",
            summary,
            url=service.address,
            requests="1500",
            users="1500",
            rate="50",
            accuracy="A=0.80,B=0.95",
            log=f"sqlite:///{folder}/predictions.db",
        )
        yield service


if __name__ == "__main__":
    main()
