"""The page /ab in a real browser, in the sizes of a desktop and a phone."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browsers import Page, browser
from tests.services import FEATURES, TOKEN, Service, iris_project, serving

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    project = iris_project(tmp_path_factory.mktemp("iris"))
    with serving(project, tmp_path_factory.mktemp("state")) as service:
        service.until(lambda: service.get("/status")[1]["staging"])
        service.put("/split", {"ab_split_b": 0.4})
        rng = random.Random(7)
        for day in range(6):
            rows = [{"user_id": f"u{day}-{i}", "features": FEATURES} for i in range(60)]
            answers = service.post("/predict", rows)[1]
            labels = [
                {
                    "request_id": one["request_id"],
                    "label": "setosa" if rng.random() < 0.9 else "virginica",
                }
                for one in answers
            ]
            assert service.post("/feedback", labels)[0] == 200
        yield service


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path) as page:
        yield page


@pytest.mark.parametrize(("width", "height"), [(1000, 900), (390, 844)])
def test_it_shows_both_arms_and_fits_the_screen(
    service: Service, page: Page, width: int, height: int
) -> None:
    page.open(f"{service.address}/ab", width, height)
    page.until("document.querySelectorAll('.arm').length === 2")
    text = page.value("document.body.innerText")
    counted = service.get("/ab.json")[1]["arms"]
    for name, arm in counted.items():
        assert f"Arm {name}: " in text
        assert f"{100 * arm['accuracy']['value']:.1f} %" in text
    assert "labelled users in arm A" in text or "labelled errors" in text or "promote" in text
    assert page.value("document.querySelectorAll('#curve polyline').length") == 2
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.faults == []


def test_the_page_updates_while_it_is_open(service: Service, page: Page) -> None:
    page.open(f"{service.address}/ab", 1000, 900)
    page.until("document.querySelectorAll('.arm').length === 2")
    service.put("/split", {"ab_split_b": 0.25})
    page.until("document.getElementById('about').textContent.startsWith('Split 25.0 %')")
    service.put("/split", {"ab_split_b": 0.4})


def test_the_split_can_be_changed_on_the_page_with_the_token(service: Service, page: Page) -> None:
    def submit(token: str) -> None:
        page.value(
            "document.getElementById('share').value = 70;"
            "document.getElementById('share').dispatchEvent(new Event('input'));"
            f"document.getElementById('token').value = '{token}';"
            "document.querySelector('#change button').click()"
        )

    page.open(f"{service.address}/ab", 1000, 900)
    page.until("document.querySelectorAll('.arm').length === 2")
    submit("wrong")
    page.until("document.getElementById('message').textContent.includes('right token')")
    assert service.get("/split")[1]["ab_split_b"] == 0.4
    submit(TOKEN)
    page.until("document.getElementById('message').textContent === 'The split is 70.0 % now.'")
    assert service.get("/split")[1]["ab_split_b"] == 0.7
    service.put("/split", {"ab_split_b": 0.4})
