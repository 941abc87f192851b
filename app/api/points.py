"""Points in, and curves out."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray
from pydantic import ValidationError

import lossboard
from app.api.deps import REFUSED, REFUSED_IN_JSON, ServicesDep
from app.columns import MAX_METRICS, Batch, Floats, Logged, from_columns, is_missing, join, parse_binary
from app.errors import SEND_JSON, InvalidError, MediaError, message_of
from app.picture import keep_extremes
from app.schemas import Accepted, Points, PointsIn
from app.store import RunRecord, Store

router = APIRouter(tags=["points"], responses=REFUSED)

BATCHES_AT_ONCE = 100  # stored batches that the CSV reads at once
ROWS_AT_ONCE = 1000  # of the CSV
MAX_NUMBERS = 10_000_000  # in one answer: 200 MB of JSON

SHORT = 16_384  # bytes of a body that is read at once: to hand it to a thread would take longer

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
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    parse = {lossboard.CONTENT_TYPE: _parse_binary, "application/json": _parse_json}.get(kind)
    if parse is None:  # a browser lets any website post text: what is not declared is not read
        raise MediaError(f"{SEND_JSON}; or records in the binary form, with {lossboard.CONTENT_TYPE}.")
    body = await request.body()
    batch = parse(body) if len(body) <= SHORT else await asyncio.to_thread(parse, body)
    known = (await services.runs.get(run_id)).last
    if len(known.keys() | batch.names) > MAX_METRICS:
        raise InvalidError(f"A run has at most {MAX_METRICS} metrics; send fewer names.", field=("metrics",))
    for part in batch.parts():
        accepted = await services.runs.ingest(run_id, part)
    return accepted


@router.get("/runs/{run_id}/points", response_model=Points)
async def get_points(
    run_id: str, services: ServicesDep, max_points: MaxPoints = 2000, from_step: FromStep = None
) -> Response:
    """The curve, thinned so that the minimum and maximum of every stretch survive if it has more points."""
    batches = await services.store.batches(await services.runs.get(run_id))
    text = await asyncio.to_thread(_curve, batches, max_points, from_step)
    return Response(text, media_type="application/json")


class CsvResponse(StreamingResponse):
    """A table, row after row."""

    media_type = "text/csv"


@router.get("/runs/{run_id}/points.csv", response_class=CsvResponse, responses=REFUSED_IN_JSON)
async def get_csv(run_id: str, services: ServicesDep) -> CsvResponse:
    """Every point in full precision; a metric that a step lacks is an empty field."""
    record = await services.runs.get(run_id)
    return CsvResponse(_csv(services.store, record))


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


def _curve(batches: list[Batch], max_points: int, from_step: float | None) -> str:
    """The Points as JSON. InvalidError if they would be too many numbers for one answer."""
    steps, metrics = join(batches if from_step is None else (_since(batch, from_step) for batch in batches))
    kept = np.arange(len(steps)) if len(steps) <= max_points else _extremes(len(steps), metrics, max_points)
    if len(kept) * len(metrics) > MAX_NUMBERS:
        raise InvalidError(
            f"With {len(metrics)} metrics, one answer has room for {MAX_NUMBERS // len(metrics)} points; send"
            " max_points no larger than that, or read points.csv.",
            part="query",
            field=("max_points",),
        )
    return Points(
        step=steps[kept].tolist(),
        metrics={name: _at(kept, logged) for name, logged in metrics.items()},
        total=len(steps),
        downsampled=len(kept) < len(steps),
    ).model_dump_json()


def _since(batch: Batch, step: float) -> Batch:
    return Batch(batch.seq, batch.names, batch.rows[batch.rows[:, 0] >= step])


def _extremes(total: int, metrics: dict[str, Logged], at_most: int) -> NDArray[np.intp]:
    """Places of records to keep: the first, the last, and of the others an equal share for each metric; what one with
    few points leaves over goes to those with more."""
    kept = {0, total - 1}
    by_length = sorted(metrics.values(), key=lambda logged: len(logged[0]))
    for done, (where, values) in enumerate(by_length):
        share = (at_most - len(kept)) // (len(by_length) - done)
        if share >= 2:
            kept.update(where[keep_extremes([values], share)].tolist())
    return np.array(sorted(kept))


def _at(kept: NDArray[np.intp], logged: Logged) -> list[float | None]:
    """The values of a metric at these places, None where it was not logged."""
    where, values = logged
    found = np.searchsorted(where, kept)
    found[found == len(where)] = 0
    here = where[found] == kept if len(where) else np.zeros(len(kept), bool)
    if here.all():
        return list(values[found].tolist())
    column = np.full(len(kept), None, object)
    column[here] = values[found[here]]
    return list(column)


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
            for first in range(0, len(batch), ROWS_AT_ONCE):
                yield await asyncio.to_thread(_csv_rows, batch.names, batch.rows[first : first + ROWS_AT_ONCE], names)
        start = batches[-1].seq + len(batches[-1])


def _csv_rows(present: Sequence[str], rows: Floats, names: list[str]) -> str:
    place = {name: column for column, name in enumerate(present, 1)}
    values = [_with_none(rows[:, place[name]]) if name in place else [None] * len(rows) for name in names]
    text = io.StringIO()
    writer = csv.writer(text)
    steps = (int(step) if step.is_integer() else step for step in rows[:, 0].tolist())
    writer.writerows(zip(steps, *values, strict=True))
    return text.getvalue()


def _quoted(name: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([name])
    return text.getvalue()
