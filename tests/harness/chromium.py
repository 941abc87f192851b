"""A real Chromium for tests and benchmarks."""

from __future__ import annotations

import shutil
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Playwright

from tests.harness.boards import PATIENCE

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SIZE = {"width": 1280, "height": 720}


def find_chromium(playwright: Playwright) -> str | None:
    """Where Chromium is on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next(filter(None, map(shutil.which, (*names, playwright.chromium.executable_path))), None)


def make_context(browser: Browser, **options: Any) -> BrowserContext:
    """A browser profile; options are those of Playwright's new_context."""
    context = browser.new_context(**{"viewport": SIZE, **options})
    context.set_default_timeout(PATIENCE * 1000)
    return context
