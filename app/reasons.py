"""Why a run ended as it did: the theory of the trainers, asked about a stored run."""

from __future__ import annotations

import asyncio

from app.errors import GoneError
from app.store import RunRecord, Store
from trainers import METHODS
from trainers.problem import make_data
from trainers.reasons import why


async def why_ended(store: Store, record: RunRecord) -> str | None:
    """What can be said of a run that ends: of one that diverged the reason, with its last lr; else what is known."""
    method = METHODS.get(record.method)
    if method is None or record.status != "diverged" or record.data_hash is None:
        return record.why
    try:
        data = await store.get_data(record.data_hash)
    except GoneError:  # the run is being deleted
        return record.why
    params = method.params.model_validate(record.params)
    return await asyncio.to_thread(lambda: why(method, params, make_data(*data), record.status, record.step))
