"""Why a run does what it does: the theory of the trainers, asked about a stored run."""

from __future__ import annotations

import asyncio

from pydantic import ValidationError

from app.errors import DamagedError, GoneError
from app.storage.records import RunRecord
from app.storage.store import Store
from trainers import METHODS
from trainers.problem import make_data
from trainers.theory.diagnosis import why


async def why_of(store: Store, record: RunRecord) -> str | None:
    """Why a run does what it does, with the parameters and the state that its record has now: after its learning rate
    was changed, say, or when it has diverged."""
    method = METHODS.get(record.method)
    if method is None or record.data_hash is None:
        return None
    try:
        data = await store.get_data(record)
        params = method.params.model_validate(record.params)
    except (GoneError, DamagedError, ValidationError):  # the run is being deleted, or what is stored of it is damaged
        return record.why
    overflowed = "final_mse" not in record.result
    return await asyncio.to_thread(
        lambda: why(method, params, make_data(*data), record.status, record.step, overflowed=overflowed)
    )
