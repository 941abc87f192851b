"""How the programs of this package are started."""

from __future__ import annotations

import os
import sys
from asyncio.subprocess import Process

from app import processes


async def start_module(module: str, *arguments: str) -> Process:
    """Start a module as a program. Raises OSError."""
    # Runs share the cores: more threads for one product of matrices only take them from the others.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return await processes.start([sys.executable, "-P", "-m", module, *arguments], environment)
