"""The page in a real browser: what it asks for, what it complains of, and whether everybody can use it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from composer.report import write

playwright = pytest.importorskip("playwright.sync_api", reason="install the extra dev to open the page in a browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: the page is not opened")
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync")
WIDTHS = (390, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(run: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    copied = tmp_path_factory.mktemp("browser") / "run"
    shutil.copytree(run, copied)
    return write(copied).as_uri()


@pytest.fixture(params=[(width, scheme) for width in WIDTHS for scheme in ("light", "dark")], ids=str)
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    width, scheme = request.param
    # The page forbids every script but its own; the inspector's is let in past that.
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    opened = context.new_page()
    opened.said, opened.asked = [], []
    opened.on("console", lambda message: opened.said.append(message.text) if message.type != "log" else None)
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda one: opened.asked.append(one.url))
    opened.goto(address)
    yield opened
    context.close()


def test_it_asks_for_nothing_but_itself_and_complains_of_nothing(page: Any, address: str) -> None:
    page.wait_for_load_state("networkidle")
    assert page.asked == [address]
    assert page.said == []


def test_its_own_policy_stops_no_part_of_it(browser: Any, address: str) -> None:
    opened = browser.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.goto(address)
    assert opened.locator("th button").count() > 10
    assert said == []
    opened.close()


def test_its_figures_are_there_and_it_is_no_wider_than_the_screen(page: Any) -> None:
    figures = page.locator(".chart svg")
    assert figures.count() >= 5
    for place in range(figures.count()):
        box = figures.nth(place).bounding_box()
        assert box is not None and box["width"] > 300 and box["height"] > 60
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_tables_sort_by_mouse_and_by_key(page: Any) -> None:
    table = page.locator("table.sortable", has=page.locator("caption", has_text="Accuracy")).first
    head = table.locator("th").nth(1)

    def values() -> list[float]:
        cells = table.locator("tbody tr td:nth-child(2)")
        return [float(cells.nth(place).get_attribute("data-value")) for place in range(cells.count())]

    unsorted = values()
    head.locator("button").click()
    assert values() == sorted(unsorted)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert values() == sorted(unsorted, reverse=True)


def test_axe_finds_no_serious_violation(page: Any) -> None:
    for folded in page.locator("details").all():
        folded.evaluate("one => one.open = true")
    page.add_script_tag(content=(files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    serious = [
        (one["id"], one["nodes"][0]["html"][:120], len(one["nodes"]), one["nodes"][0].get("failureSummary", "")[:200])
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    assert len(found["passes"]) > 15
