"""The view that everyone shares: read, changed and remembered in one place."""

from __future__ import annotations

import logging
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


def _valid(stored: dict[str, Any]) -> View:
    """A view of those stored parts that are valid."""
    while True:
        try:
            return View.model_validate(stored)
        except ValidationError as error:
            for name in {str(one["loc"][0]) for one in error.errors()}:
                log.warning("the stored view has %s that cannot be used; it has its default again", name)
                stored = {key: value for key, value in stored.items() if key != name}
