"""The view that everyone shares: read, changed and remembered in one place."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from app.errors import UnavailableError
from app.events import Subscribers
from app.schemas.view import View
from app.storage.store import Store

log = logging.getLogger("lossboard.view")

SETTING = "board"  # the key of the stored view


class ViewState:
    """What the shared windows show. Whoever depends on it subscribes, and is called with the view before a change and
    the view after it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._view = self._stored = View()
        self._subscribers = Subscribers[View, View]()
        self.subscribe = self._subscribers.subscribe

    async def load(self) -> None:
        """Read the view as it was left. Parts that this Lossboard does not know, or no longer allows, are dropped."""
        stored = await self._store.get_setting(SETTING) or {}
        if not isinstance(stored, dict):
            log.warning("the stored view cannot be used; it has its defaults again")
            stored = {}
        self._view = self._stored = _valid(stored)
        named = {self._view.run, *self._view.hidden, *self._view.added, *self._view.chosen} - {None}
        for run_id in [run_id for run_id in named if run_id and not await self._store.get_run(run_id)]:
            self._view = self._stored = _without(self._view, run_id)  # it was deleted and the view not stored any more

    def get(self) -> View:
        """The view as it is now."""
        return self._view

    async def change(self, view: View) -> None:
        """Show another view, and remember it: it holds when this returns, and also after a restart. UnavailableError if
        it cannot be stored: then the view is the last that was, unless somebody has changed it again."""
        before, self._view = self._view, view
        self._subscribers.notify(before, view)
        try:
            await self._store.put_setting(SETTING, view.model_dump())
        except UnavailableError:
            if self._view is view:
                self._view = self._stored
                self._subscribers.notify(view, self._stored)
            raise
        self._stored = view

    async def forget(self, run_id: str) -> None:
        """A run was deleted: name it no more, and show all runs if it was the selected one. That holds even where it
        cannot be stored: the run is gone all the same."""
        before, self._view = self._view, _without(self._view, run_id)
        self._stored = _without(self._stored, run_id)
        if self._view != before:
            self._subscribers.notify(before, self._view)
            with suppress(UnavailableError):
                await self._store.put_setting(SETTING, self._view.model_dump())


def _without(view: View, run_id: str) -> View:
    """The same view, without a run."""
    parts: dict[str, Any] = {
        "hidden": [hidden for hidden in view.hidden if hidden != run_id],
        "added": [added for added in view.added if added != run_id],
        "chosen": [chosen for chosen in view.chosen if chosen != run_id],
    }
    if view.run == run_id:
        parts |= {"run": None, "at": None}
    return view.model_copy(update=parts)


def _valid(stored: dict[str, Any]) -> View:
    """A view of those stored parts that are valid."""
    while True:
        try:
            return View.model_validate(stored)
        except ValidationError as error:
            for name in {str(one["loc"][0]) for one in error.errors()}:
                log.warning("the stored view has %s that cannot be used; it has its default again", name)
                stored = {key: value for key, value in stored.items() if key != name}
