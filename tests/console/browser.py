"""A real browser for the console's tests: Chromium as the system has it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, or a skipped test. With ``REQUIRE_ALL_CHECKS`` its absence is a failure."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        missing = f"no browser: none of {', '.join(_NAMES)} is on PATH. tests/console/install-chromium installs one"
        if os.environ.get("REQUIRE_ALL_CHECKS"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        # Containers have no user namespaces for Chromium's sandbox. It shows pages of ours alone.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def console_page(browser: Browser, url: str, *, width: int = 1280, dark: bool = False) -> Iterator[Page]:
    """The console in a window of its own. Errors of its scripts, and what its policy blocked, fail the test."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # A form that was refused is answered with 422, which Chromium reports too.
        if message.type == "error" and "422" not in message.text:
            errors.append(message.text)

    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.locator("#live-state.connected").wait_for()
    try:
        yield page
        assert errors == []
    finally:
        page.close()
