"""What is damaged is said where its run is shown."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

from playwright.sync_api import Page, expect

from app.storage.database import DATABASE_FILE
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage


def test_a_damaged_run_says_so_in_its_row_and_where_it_is_looked_at(
    new_board: Callable[..., BoardProcess], new_page: Callable[..., Page]
) -> None:
    board = new_board().start()
    damaged, sound = (board.wait_until(board.run()["id"]) for _ in range(2))
    board.stop()
    with closing(sqlite3.connect(board.folder / DATABASE_FILE)) as db:
        db.execute("UPDATE points SET rows = zeroblob(length(rows)) WHERE run = ?", (damaged["number"],))
        db.commit()

    board.start()
    page = BoardPage(new_page()).open(board.url)
    words = page.row(damaged["id"]).locator(".flaws")
    expect(words).to_contain_text("Its points cannot be read")
    expect(words).to_contain_text("lossboard check")
    expect(page.row(sound["id"]).locator(".flaws")).to_be_hidden()
    wait_for(lambda: page.trace("Loss", sound["number"]), "the curve of the other run")

    expect(page.page.locator("#look-flaws")).to_be_hidden()
    board.client.patch("/api/board", json={"run": damaged["id"]})
    for place in ("#look-flaws", "#curtain"):  # which is where its windows would be
        expect(page.page.locator(place)).to_contain_text("Its points cannot be read")
    board.client.patch("/api/board", json={"run": sound["id"]})
    expect(page.page.locator("#look-flaws")).to_be_hidden()
    wait_for(lambda: sound["visdom"]["env"] in page.curves.url and page.plots(), "the windows of the other run")
