"""A real browser for tests of pages: Debian's chromium, driven by Playwright; skipped, and said, without."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDE = {"width": 1280, "height": 900}


@contextmanager
def opened_browser() -> Iterator:
    """A browser that fetches nothing: pages come from disk."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened_page(browser, path, **options) -> Iterator:
    """A page from disk. Its errors, its dialogs and what it wants from a network are failures."""
    wrong: list[str] = []
    context = browser.new_context(viewport=WIDE, accept_downloads=True, **options)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
    page.goto(path.as_uri())
    try:
        yield page
    finally:
        context.close()
    assert wrong == []


def until(page, expression: str, seconds: float = 30) -> None:
    """Wait till an expression is true there. The page's own rules forbid Playwright's way of waiting."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never true: {expression}"
        time.sleep(0.05)
