"""Sessions of a run: each process that reports it counts its own records from 0.

A run that is resumed has several. The board keeps where the records of each lie among all of the run's: so each is
stored once, also those that come late, from a journal that another process left behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.storage.batch import Batch
from app.storage.records import Session


@dataclass(frozen=True)
class Stretch:
    """Consecutive records of one session: from its number ``begin`` to before ``end``, which are numbered from
    ``number`` in the run."""

    begin: int
    end: int
    number: int


class Sessions:
    """Where the records of one session lie in a run that has ``count`` records."""

    def __init__(self, known: Sequence[Session], count: int, session: str) -> None:
        self.all = list(known) or [("", 0, 0)]
        self._session = session
        self._count = count
        ends = [*(number for _, _, number in self.all[1:]), count]
        mine = [
            (begin, number, end) for (name, begin, number), end in zip(self.all, ends, strict=True) if name == session
        ]
        self._mine = [Stretch(begin, begin + end - number, number) for begin, number, end in mine]

    @property
    def known(self) -> int:
        """The number that the session's next record has in the session."""
        return self._mine[-1].end if self._mine else 0

    @property
    def is_last(self) -> bool:
        """Whether the run's last records are of this session."""
        return self.all[-1][0] == self._session

    def place(self, batches: Iterable[Batch]) -> list[Batch]:
        """The same records with the numbers that they have in the run; at least one batch, which may be empty. If they
        are the first ones after another session's, ``all`` has a session more from then on."""
        batches = list(batches)
        if not self.is_last and any(batch.seq + len(batch) > self.known for batch in batches):
            self.all.append((self._session, self.known, self._count))
            self._mine.append(Stretch(self.known, self.known, self._count))
        placed: list[Batch] = []
        for stretch in self._mine:
            is_open = stretch is self._mine[-1] and self.is_last
            for batch in batches:
                part = batch.after(stretch.begin) if is_open else batch.between(stretch.begin, stretch.end)
                if len(part):
                    placed.append(replace(part, seq=part.seq - stretch.begin + stretch.number))
        return placed or [Batch(self._count, (), np.empty((0, 1)))]

    def in_session(self, number: int) -> int:
        """What the next record, which has this number in the run, has in the session."""
        last = self._mine[-1] if self._mine and self.is_last else None
        return self.known if last is None else number - last.number + last.begin
