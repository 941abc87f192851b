"""``run.text``, ``image``, ``figure``, ``histogram`` and ``audio``: what a script logs besides numbers.

What is given is encoded at once, as the script may change it afterwards, and put into a file in the run's journal
(``media_files.py``). A thread, one for all runs of the process, posts these files and removes what has arrived.
"""

from __future__ import annotations

import collections
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import lossboard
from lossboard_extras import encoders
from lossboard_extras.media_files import FOLDER, DamagedError, Medium, is_for_good, packed

MAX_OF_NAME = 1000  # that wait
MAX_WAITING_BYTES = 256 << 20  # of all runs of the process, in files
MAX_MEMORY_BYTES = 64 << 20  # the same where no file can be made
FIRST_RETRY_S = 0.1  # after a failed post; twice that after the next one, and so on
LAST_RETRY_S = 2.0


def text(run: lossboard.Run, name: str, value: str, step: Any = None) -> None:
    """Log a text."""
    _log(run, "text", name, step, lambda: encoders.text_of(value))


def image(run: lossboard.Run, name: str, value: Any, step: Any = None, *, axes: str = "") -> None:
    """Log an image: a path, an image of PIL, a figure, or an array or tensor as ``encoders.png_of()`` takes it."""
    _log(run, "image", name, step, lambda: encoders.png_of(value, axes))


def figure(run: lossboard.Run, name: str, value: Any, step: Any = None) -> None:
    """Log a figure of matplotlib as an image."""
    _log(run, "image", name, step, lambda: encoders.png_of_figure(value))


def histogram(run: lossboard.Run, name: str, value: Any, step: Any = None, *, bins: int = 64) -> None:
    """Log the histogram of an array, a tensor or a list; or one that was counted before, as (counts, edges)."""
    _log(run, "histogram", name, step, lambda: encoders.histogram_of(value, bins))


def buckets(run: lossboard.Run, name: str, value: Iterable[tuple[float, float, float]], step: Any = None) -> None:
    """Log a histogram that was counted before: left edge, right edge and count of each bucket."""
    _log(run, "histogram", name, step, lambda: encoders.histogram_of_buckets(value))


def audio(run: lossboard.Run, name: str, value: Any, step: Any = None, *, rate: int = 44_100) -> None:
    """Log a sound: the path of a WAV, or samples as ``encoders.wav_of()`` takes them, ``rate`` of them a second."""
    _log(run, "audio", name, step, lambda: encoders.wav_of(value, rate))


def _log(run: lossboard.Run, kind: str, name: Any, step: Any, encode: Callable[[], bytes]) -> None:
    """Have something posted. Whatever is wrong with it is a warning, and nothing is raised."""
    if run._silent:
        run._warn(run._silent, f"the {kind} {name!r} was not logged: {run._silent}")
        return
    try:
        name = lossboard._metric_name(str(name))
        content = encoders.within_bounds(encode())
        add(run, packed(name, kind, _step_of(run, kind, name, step), time.time(), content), name)
    except Exception as error:  # as in log(): this must not end a training of hours
        run._warn(f"{kind} {name} {type(error)}", f"the {kind} {name!r} was not logged: {error}")


def _step_of(run: lossboard.Run, kind: str, name: str, given: Any) -> float:
    """A step that was given, or that of the last point."""
    if given is not None:
        try:
            return lossboard._step(given)
        except Exception as error:
            run._warn(f"{kind} {name} step", f"a step of the {kind} {name!r} was not taken: {error}")
    return run.next_step - (1 if run.journal.taken else 0)


class MediaQueue:
    """Media of one run that wait for the board, oldest first."""

    def __init__(self, run: lossboard.Run) -> None:
        self.run = run
        self.connection = lossboard.Connection(run.sender.connection.named)
        self.session = os.urandom(16).hex()
        self.numbered = 0  # of the session
        self.waiting: collections.deque[tuple[str, int, Medium]] = collections.deque()  # with name and size
        self.of_name = collections.Counter[str]()
        self.closed = False
        self.none_waits = threading.Event()
        self.none_waits.set()
        self.retry_at = 0.0  # time.monotonic()
        self.retry_s = 0.0

    def wait(self) -> None:
        """Take no more; return once none waits."""
        with _poster.lock:
            self.closed = True
        self.none_waits.wait()


class _Poster:
    """Posts the media of all runs of the process, and counts what waits."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self._queues: list[MediaQueue] = []  # those of which some wait; the next one to be served comes first
        self._in_files = self._in_memory = 0  # bytes that wait
        self._thread: threading.Thread | None = None

    def put(self, queue: MediaQueue, content: bytes, name: str) -> None:
        """Have a medium wait. OverflowError if too much waits."""
        with self.lock:
            if queue.closed:
                raise ValueError("its run has ended")
            if queue.of_name[name] >= MAX_OF_NAME:
                raise OverflowError(f"{MAX_OF_NAME:,} of this name wait for the board")
            if self._thread is None:
                self._thread = self._start()  # first: as the interpreter exits, none can be started
            medium = Medium(queue.session, queue.numbered, content)
            self._keep(queue, medium, len(content))
            queue.numbered += 1
            queue.waiting.append((name, len(content), medium))
            queue.of_name[name] += 1
            if queue not in self._queues:
                queue.none_waits.clear()
                self._queues.append(queue)
            self.lock.notify()

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._post_all, name="lossboard-media", daemon=True)
        thread.start()
        return thread

    def _keep(self, queue: MediaQueue, medium: Medium, size: int) -> None:
        """Keep it in a file, else in memory, and count it."""
        if queue.run.journal.folder and self._in_files + size <= MAX_WAITING_BYTES:
            try:
                medium.write(queue.run.journal.folder / FOLDER)
            except OSError as error:
                queue.run._warn("media disk", f"media wait in memory, as no file can be made for them ({error})")
            else:
                self._in_files += size
                return
        elif queue.run.journal.folder:
            raise OverflowError(f"{MAX_WAITING_BYTES >> 20} MiB of media wait for the board")
        if self._in_memory + size > MAX_MEMORY_BYTES:
            raise OverflowError(f"{MAX_MEMORY_BYTES >> 20} MiB of media wait in memory")
        self._in_memory += size

    def _post_all(self) -> None:
        """Runs in the thread, as long as the process."""
        while True:
            queue = self._next()
            name, _, medium = queue.waiting[0]
            try:
                medium.send(queue.connection, queue.run.id)
            except lossboard.RefusedError as error:
                self._take_refusal(queue, name, error)
            except DamagedError as error:
                queue.run._warn(f"media {name} damaged", f"a medium {name!r} is lost: {error}")
                self._drop(queue)
            except Exception:  # whatever it is, the next try may succeed
                self._try_later(queue)
            else:
                self._drop(queue)
                queue.retry_s = 0.0

    def _next(self) -> MediaQueue:
        """Wait until a queue may be served. The others are served before it is again."""
        with self.lock:
            while True:
                now = time.monotonic()
                for queue in self._queues:
                    if queue.retry_at <= now:
                        self._queues.remove(queue)
                        self._queues.append(queue)
                        return queue
                self.lock.wait(min((queue.retry_at - now for queue in self._queues), default=None))

    def _take_refusal(self, queue: MediaQueue, name: str, error: lossboard.RefusedError) -> None:
        if error.status == 410:  # the run was deleted
            while queue.waiting:
                self._drop(queue)
        elif is_for_good(error):
            queue.run._warn(f"media {name} refused", f"the board refused a medium {name!r}: {error}")
            self._drop(queue)
            with self.lock:  # those that follow need not be numbered anew
                queue.session, queue.numbered = os.urandom(16).hex(), 0
        else:
            if error.status < 500 and error.status != 404:  # the run may not have been introduced yet
                queue.run._warn("media refused", f"the board does not take this run's media: {error}")
            self._try_later(queue)

    def _try_later(self, queue: MediaQueue) -> None:
        queue.connection.close()
        queue.retry_s = min(2 * queue.retry_s, LAST_RETRY_S) or FIRST_RETRY_S
        with self.lock:
            queue.retry_at = time.monotonic() + queue.retry_s

    def _drop(self, queue: MediaQueue) -> None:
        """The oldest of a queue has arrived, or is not wanted."""
        with self.lock:
            name, size, medium = queue.waiting.popleft()
            if medium.path:
                self._in_files -= size
            else:
                self._in_memory -= size
            queue.of_name[name] -= 1
            medium.remove()
            if not queue.waiting:
                self._queues.remove(queue)
                queue.connection.close()
                queue.none_waits.set()


def add(run: lossboard.Run, content: bytes, name: str) -> None:
    """Have a medium, as ``packed()`` gives it, wait for the board."""
    with _poster.lock:
        if run.media is None:
            run.media = MediaQueue(run)
    _poster.put(run.media, content, name)


def _begin_anew() -> None:
    """In a fork: the thread, and what waits, are the parent's."""
    global _poster  # noqa: PLW0603
    _poster = _Poster()


_poster = _Poster()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
