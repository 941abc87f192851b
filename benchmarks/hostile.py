"""Clients that hold connections and say little or nothing: `uv run python -m benchmarks.hostile`.

200 that send a byte of a header each second, 200 that send nothing, 1,000 event streams and 500 websockets: how quickly
the board answers others meanwhile, how long it keeps the first two, and whether it has its descriptors back.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from app.middleware.connections import HEAD_S, IDLE_S
from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess, wait_for

SLOW, SILENT, STREAMS, WEBSOCKETS = 200, 200, 1000, 500
PATIENCE_S = 5.0  # beyond a time-out
HANDSHAKE = (
    "GET /visdom/socket HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Crowd:
    """All of these clients of one board, in one event loop."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._address = address.hostname, address.port
        self._host = address.netloc
        self._writers: list[asyncio.StreamWriter] = []
        self.statuses: Counter[str] = Counter()
        self.longest = {"slow": 0.0, "silent": 0.0}
        self.answers: list[float] = []

    async def run(self) -> None:
        """Hold connections until the slow and the silent have been closed, then close the others."""
        asking = asyncio.create_task(self._ask())
        holding = [self._hold("GET /api/events HTTP/1.1\r\nHost: {host}\r\n\r\n", "stream") for _ in range(STREAMS)]
        holding += [self._hold(HANDSHAKE, "websocket") for _ in range(WEBSOCKETS)]
        await asyncio.gather(*holding)
        ends = [self._time("slow", self._trickle) for _ in range(SLOW)]
        ends += [self._time("silent", self._wait) for _ in range(SILENT)]
        await asyncio.gather(*ends)
        asking.cancel()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._address)

    async def _hold(self, request: str, kind: str) -> None:
        reader, writer = await self._connect()
        writer.write(request.format(host=self._host).encode())
        self.statuses[f"{kind} {(await reader.readline()).split()[1].decode()}"] += 1
        self._writers.append(writer)

    async def _time(self, kind: str, wait: Callable[..., Coroutine[None, None, None]]) -> None:
        reader, writer = await self._connect()
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            await wait(reader, writer)
        self.longest[kind] = max(self.longest[kind], time.monotonic() - begun)
        writer.close()

    async def _trickle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"GET / HTTP/1.1\r\nX-A: " + b"a" * 1000:
            writer.write(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(), 1.0)
                return

    async def _wait(self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def _ask(self) -> None:
        while True:
            begun = time.monotonic()
            reader, writer = await self._connect()
            writer.write(f"GET /api/runs HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n".encode())
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            self.answers.append(time.monotonic() - begun)
            writer.close()
            await asyncio.sleep(0.1)


def main() -> list[Figure]:
    """Print how others were answered, and when the connections were closed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        board.wait_for_visdom()
        process = psutil.Process(board.process.pid)
        before, memory = len(process.net_connections()), process.memory_info().rss
        crowd = Crowd(board.url)
        asyncio.run(crowd.run())
        grown = (process.memory_info().rss - memory) / 2**20
        begun = time.monotonic()
        wait_for(lambda: len(process.net_connections()) <= before, "the end of all connections", seconds=20)
        returned = time.monotonic() - begun
    answers = sorted(crowd.answers)
    opened = ", ".join(f"{count} {kind}" for kind, count in sorted(crowd.statuses.items()))
    slowest = 1000 * answers[-1]
    return show(
        [
            Figure("answer meanwhile, median", 1000 * answers[len(answers) // 2], "ms", note=opened),
            Figure("answer meanwhile, slowest", slowest, "ms", at_most=5000, note=f"of {len(answers)}"),
            Figure("slow headers closed after", crowd.longest["slow"], "s", at_most=HEAD_S + PATIENCE_S),
            Figure("silent connections closed after", crowd.longest["silent"], "s", at_most=IDLE_S + PATIENCE_S),
            Figure("all connections closed after", returned, "s", at_most=5.0),
            Figure("memory grown by", grown, "MiB", at_most=300.0),
        ]
    )


if __name__ == "__main__":
    main()
