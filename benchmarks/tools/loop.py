"""The textbook loop that reports to one tool, in a process of its own:

`python -m benchmarks.tools.loop TOOL RUN --steps 1000` prints one line of JSON when it is done.
"""

from __future__ import annotations

import argparse
import json
import mmap
import struct
import time
from pathlib import Path

from benchmarks.tools.loggers import LOGGERS, Log

SAMPLES = ((1.0, 2.0), (2.0, 4.0), (3.0, 6.0))
LEARNING_RATE = 1e-6  # so small that w is on its way still after a million steps: no two points are equal
BLOCK = 100  # steps between two looks at the clock
SPIKE = 1e6  # the loss of one step in the middle, for looking whether it is shown


def descend(w: float, first: int, last: int, spike: int, log: Log) -> float:
    """Gradient descent from step ``first`` up to ``last``; the w it comes to."""
    for step in range(first, last):
        loss = gradient = 0.0
        for x, y in SAMPLES:
            residual = x * w - y
            loss += residual * residual
            gradient += 2 * x * residual
        w -= LEARNING_RATE * gradient / 3
        log(step, w, SPIKE if step == spike else loss / 3)
    return w


def at_full_speed(steps: int, seconds: float, log: Log) -> int:
    """As many of these steps as fit into the time; how many that were."""
    w, done, deadline = 1.0, 0, time.perf_counter() + seconds
    while done < steps and time.perf_counter() < deadline:
        w = descend(w, done, min(done + BLOCK, steps), spike_of(steps), log)
        done = min(done + BLOCK, steps)
    return done


def at_a_pace(steps: int, rate: float, log: Log, notes: Path) -> int:
    """``rate`` steps a second at most; when each was logged is noted in a file that a kill leaves behind."""
    notes.write_bytes(bytes(8 * steps))
    with notes.open("r+b") as file, mmap.mmap(file.fileno(), 8 * steps) as logged:
        w, began = 1.0, time.monotonic()
        for step in range(steps):
            w = descend(w, step, step + 1, -1, log)
            struct.pack_into("<d", logged, 8 * step, time.time())
            time.sleep(max(0.0, began + (step + 1) / rate - time.monotonic()))
    return steps


def spike_of(steps: int) -> int:
    """The step whose loss is a spike: none of a thinning's likely favourites, and one that a slow tool comes to."""
    return int(steps * 0.3543)


def peak_memory() -> int:
    """The most bytes that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with what the parent had when it forked
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource  # noqa: PLC0415

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Train, and say how long it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=LOGGERS)
    parser.add_argument("run")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--notes", type=Path)
    told = parser.parse_args()
    log, finish = LOGGERS[told.tool](told.run)
    began = time.perf_counter()
    if told.rate:
        done = at_a_pace(told.steps, told.rate, log, told.notes)
    else:
        done = at_full_speed(told.steps, told.seconds, log)
    trained = time.perf_counter() - began
    last_log = time.time()
    finish()
    answer = {
        "steps": done,
        "seconds": trained,
        "last_log": last_log,
        "finish": time.time() - last_log,
        "memory": peak_memory(),
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
