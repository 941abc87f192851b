"""Points in, and curves out."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

import lossboard
from app.api.deps import ServicesDep
from app.columns import Batch, Floats, from_columns, is_missing, join, parse_binary
from app.errors import InvalidError, message_of
from app.picture import keep_extremes
from app.schemas import Accepted, Points, PointsIn
from app.store import RunRecord, Store

router = APIRouter(tags=["points"])

BATCHES_AT_ONCE = 100  # stored batches that the CSV reads at once

MaxPoints = Annotated[int, Query(ge=2, le=1_000_000)]
FromStep = Annotated[float | None, Query(allow_inf_nan=False)]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": PointsIn.model_json_schema(ref_template="#/components/schemas/{model}")},
            lossboard.CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post("/runs/{run_id}/points", openapi_extra=_BODY)
async def add_points(run_id: str, request: Request, services: ServicesDep) -> Accepted:
    """Take in a batch of points: on disk before the answer, each record once. An empty batch is a heartbeat.

    As columns in JSON, or in the client's binary form, which the top of /lossboard.py describes.
    """
    body = await request.body()
    binary = request.headers.get("content-type", "").partition(";")[0].strip() == lossboard.CONTENT_TYPE
    batch = await asyncio.to_thread(_parse_binary if binary else _parse_json, body)
    return await services.runs.ingest(run_id, batch)


@router.get("/runs/{run_id}/points")
async def get_points(
    run_id: str, services: ServicesDep, max_points: MaxPoints = 2000, from_step: FromStep = None
) -> Points:
    """The curve, thinned so that the minimum and maximum of every stretch survive if it has more points."""
    batches = await services.store.batches(await services.runs.get(run_id))
    return await asyncio.to_thread(_curve, batches, max_points, from_step)


@router.get("/runs/{run_id}/points.csv")
async def get_csv(run_id: str, services: ServicesDep) -> StreamingResponse:
    """Every point in full precision; a metric that a step lacks is an empty field."""
    record = await services.runs.get(run_id)
    return StreamingResponse(_csv(services.store, record), media_type="text/csv")


def _parse_binary(body: bytes) -> Batch:
    try:
        return parse_binary(body)
    except ValueError as error:
        raise InvalidError(f"In the binary form, {error}.") from None


def _parse_json(body: bytes) -> Batch:
    try:
        points = PointsIn.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidError(message_of(first), field=first["loc"]) from None
    return from_columns(points.seq, points.step, points.metrics)


def _curve(batches: list[Batch], max_points: int, from_step: float | None) -> Points:
    steps, metrics = join(batches)
    if from_step is not None:
        wanted = steps >= from_step
        steps, metrics = steps[wanted], {name: values[wanted] for name, values in metrics.items()}
    total = len(steps)
    kept = keep_extremes(list(metrics.values()), max_points) if metrics else np.arange(total)[:max_points]
    return Points(
        step=steps[kept].tolist(),
        metrics={name: _with_none(values[kept]) for name, values in metrics.items()},
        total=total,
        downsampled=len(kept) < total,
    )


def _with_none(values: Floats) -> list[float | None]:
    missing = is_missing(values)
    if not missing.any():
        return list(values.tolist())
    return [None if gone else value for value, gone in zip(values.tolist(), missing.tolist(), strict=True)]


async def _csv(store: Store, record: RunRecord) -> AsyncIterator[str]:
    names = await store.metric_names(record)
    yield ",".join(["step", *(_quoted(name) for name in names)]) + "\r\n"
    start = 0
    while batches := await store.some_batches(record, start, BATCHES_AT_ONCE):
        for batch in batches:
            yield await asyncio.to_thread(_csv_rows, batch, names)
        start = batches[-1].seq + len(batches[-1])


def _csv_rows(batch: Batch, names: list[str]) -> str:
    place = {name: column for column, name in enumerate(batch.names, 1)}
    values = [_with_none(batch.rows[:, place[name]]) if name in place else [None] * len(batch) for name in names]
    text = io.StringIO()
    writer = csv.writer(text)
    steps = (int(step) if step.is_integer() else step for step in batch.rows[:, 0].tolist())
    writer.writerows(zip(steps, *values, strict=True))
    return text.getvalue()


def _quoted(name: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([name])
    return text.getvalue()
