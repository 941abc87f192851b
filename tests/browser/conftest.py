"""A real Chromium, and pages that notice what a person would not: script errors, and requests off the machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.harness.boards import PATIENCE, BoardProcess
from tests.harness.chromium import ARGUMENTS, find_chromium, make_context
from tests.harness.pages import BoardPage

expect.set_options(timeout=PATIENCE * 1000)


@dataclass
class Watch:
    """What happened in the pages of one test."""

    script_errors: list[str] = field(default_factory=list)
    console_errors: list[str] = field(default_factory=list)
    addresses: set[str] = field(default_factory=set)

    def follow(self, page: Page) -> None:
        """Note what happens in a page and in its frames."""
        page.on("pageerror", lambda error: self.script_errors.append(str(error)))
        page.on("console", lambda said: self.console_errors.append(said.text) if said.type == "error" else None)
        page.on("request", lambda request: self.addresses.add(request.url))
        page.on("websocket", lambda socket: self.addresses.add(socket.url))

    def check(self) -> None:
        """No script failed, nothing was asked of another machine, and no page met its content security policy."""
        assert not self.script_errors, f"{self.script_errors}; console: {self.console_errors}"
        blocked = [said for said in self.console_errors if "Content Security Policy" in said]
        assert not [said for said in blocked if "inline style" not in said]  # those are axe's own
        hosts = {urlsplit(address).hostname for address in self.addresses if address.startswith(("http", "ws"))}
        assert hosts <= {"127.0.0.1"}, hosts


# Not for the whole session: while Playwright runs, no other test could run an event loop.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, the machine's own or Playwright's."""
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if path is None:
            words = "no Chromium was found"
            if os.environ.get("LOSSBOARD_TEST_BROWSER") == "required":
                pytest.fail(words)
            pytest.skip(words)
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Notes what happens in the pages of the test, and fails it if that was not right."""
    watch = Watch()
    yield watch
    watch.check()


@pytest.fixture(scope="package")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile that many tests use: it has Visdom's scripts in its cache."""
    context = make_context(browser)
    yield context
    context.close()


@pytest.fixture
def new_page(browser: Browser, profile: BrowserContext, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Make pages; with options, which are those of Playwright's new_context, in a profile of their own."""
    pages: list[Page] = []
    contexts: list[BrowserContext] = []

    def make(**options: Any) -> Page:
        if options:
            contexts.append(make_context(browser, **options))
        pages.append((contexts[-1] if options else profile).new_page())
        watch.follow(pages[-1])
        return pages[-1]

    yield make
    for page in pages:
        page.close()
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page], board: BoardProcess) -> BoardPage:
    """The shared board's page, opened, with its curves on show."""
    return BoardPage(new_page()).open(board.url)


@pytest.fixture
def form_page(new_page: Callable[..., Page], board: BoardProcess) -> BoardPage:
    """The shared board's page, opened, for tests that do not look at the curves."""
    return BoardPage(new_page()).open(board.url, curves=False)
