"""Points in, and curves out."""

from __future__ import annotations

import asyncio
import csv
import io
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

import lossboard
from app.api.deps import REFUSED, REFUSED_IN_JSON, ServicesDep, aside
from app.api.error_handlers import SEND_JSON
from app.api.json_body import check_json, read_json
from app.errors import InvalidError, MediaError, message_of
from app.schemas.limits import MAX_DATA_BYTES
from app.schemas.requests import ChangeIn, Changes, PointsIn, Told
from app.schemas.responses import Accepted, Points
from app.storage import binary_form
from app.storage.batch import Floats, Logged, from_columns, is_missing, join
from app.storage.binary_form import Post
from app.storage.chunks import RangeOfRecords
from app.storage.downsampling import keep_extremes
from app.storage.records import RunRecord
from app.storage.store import Store
from lossboard_extras.tables import to_cell

router = APIRouter(tags=["points"], responses=REFUSED)

CSV_BATCHES = 100  # stored batches that the CSV reads at once
CSV_ROWS = 1000  # of the CSV
MAX_NUMBERS = 10_000_000  # in one response: 200 MB of JSON

MaxPoints = Annotated[int, Query(ge=2, le=1_000_000)]
StepQuery = Annotated[float | None, Query(allow_inf_nan=False)]
_CHANGES: TypeAdapter[list[ChangeIn]] = TypeAdapter(Changes)
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

    As columns in JSON, or in the client's binary form, which docs/rest.md describes.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (lossboard.CONTENT_TYPE, "application/json"):
        # A browser lets any website post text: what is not declared is not read.
        raise MediaError(f"{SEND_JSON}; or records in the binary form, with {lossboard.CONTENT_TYPE}.")
    body = await request.body()
    if kind == lossboard.CONTENT_TYPE:
        post, changes, told = await aside(len(body), _parse_binary, body)
    else:
        post, changes, told = await read_json(body, _parse_json, body)
    answer = await services.ingest.add_points(
        run_id,
        *post.batches,
        changes=changes,
        told=told,
        session=post.session,
        after_gap=post.after_gap,
        unchecked=post.unchecked,
    )
    answer.blocks = post.taken(answer.accepted)
    return answer


@router.get("/runs/{run_id}/points", response_model=Points)
async def get_points(
    run_id: str,
    services: ServicesDep,
    max_points: MaxPoints = 2000,
    from_step: StepQuery = None,
    to_step: StepQuery = None,
) -> Response:
    """The curve between two steps (both included), thinned so that the minimum and maximum of every bucket survive if
    it has more points."""
    low = -math.inf if from_step is None else from_step
    high = math.inf if to_step is None else to_step
    read = await services.store.read_range(await services.runs.get(run_id), low, high, max_points)
    text = await aside(sum(some.rows.size for some in read.records), _json, read, max_points)
    return Response(text, media_type="application/json")


class CsvResponse(StreamingResponse):
    """A table, row after row."""

    media_type = "text/csv"


@router.get("/runs/{run_id}/points.csv", response_class=CsvResponse, responses=REFUSED_IN_JSON)
async def get_csv(run_id: str, services: ServicesDep) -> CsvResponse:
    """Every point in full precision; a metric that a step lacks is an empty field."""
    record = await services.runs.get(run_id)
    await services.store.check_points(record)  # while it can still be refused; it takes a hundredth of the time
    return CsvResponse(_csv(services.store, record))


type Parsed = tuple[Post, list[ChangeIn], Told]


def _parse_binary(body: bytes) -> Parsed:
    check_json(body[: max(body.find(b"\n"), 0)], MAX_DATA_BYTES)
    try:
        post = binary_form.parse(body)
    except ValueError as error:
        raise InvalidError(f"In the binary form, {error}.") from None
    try:
        changes = _CHANGES.validate_python(post.changes)
    except ValidationError as error:
        raise _refusal(error, "changes") from None
    try:
        return post, changes, Told.model_validate(post.told)
    except ValidationError as error:
        raise _refusal(error) from None


def _parse_json(body: bytes) -> Parsed:
    check_json(body, PointsIn.max_bytes)
    try:
        points = PointsIn.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error) from None
    return Post([from_columns(points.seq, points.step, points.metrics)]), points.changes, points


def _refusal(error: ValidationError, *field: str) -> InvalidError:
    """The first of the errors, for people."""
    first = error.errors(include_input=False, include_url=False)[0]
    return InvalidError(message_of(first), field=(*field, *first["loc"]))


def _json(read: RangeOfRecords, max_points: int) -> str:
    return curve(read, max_points).model_dump_json()


def _with_none(values: Floats) -> list[float | None]:
    missing = is_missing(values)
    if not missing.any():
        return list(values.tolist())
    return [None if gone else value for value, gone in zip(values.tolist(), missing.tolist(), strict=True)]


async def _csv(store: Store, record: RunRecord) -> AsyncIterator[str]:
    names = await store.metric_names(record)
    yield _written([["step", *map(to_cell, names)]])
    start = 0
    while batches := await store.some_batches(record, start, CSV_BATCHES):
        for batch in batches:
            for first in range(0, len(batch), CSV_ROWS):
                yield await asyncio.to_thread(_csv_rows, batch.names, batch.rows[first : first + CSV_ROWS], names)
        start = batches[-1].seq + len(batches[-1])


def _csv_rows(present: Sequence[str], rows: Floats, names: list[str]) -> str:
    place = {name: column for column, name in enumerate(present, 1)}
    values = [_with_none(rows[:, place[name]]) if name in place else [None] * len(rows) for name in names]
    steps = (int(step) if step.is_integer() else step for step in rows[:, 0].tolist())
    return _written(zip(steps, *values, strict=True))


def _written(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def curve(read: RangeOfRecords, max_points: int) -> Points:
    """At most ``max_points`` steps with all of their metrics: the first, the last, and the extremes of every metric.
    InvalidError if they would be too many numbers for one response."""
    numbers, steps, metrics = join(read.records)
    kept = np.arange(len(steps)) if read.total <= max_points else _extremes(numbers, metrics, max_points)
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
        total=read.total,
        downsampled=len(kept) < read.total,
    )


def _extremes(numbers: NDArray[np.intp], metrics: dict[str, Logged], at_most: int) -> NDArray[np.intp]:
    """Places of records to keep: the first, the last, and of the others an equal share for each metric; what one with
    few points leaves over goes to those with more."""
    kept = {0, len(numbers) - 1}
    by_length = sorted(metrics.values(), key=lambda logged: len(logged[0]))
    for done, (where, values) in enumerate(by_length):
        share = (at_most - len(kept)) // (len(by_length) - done)
        if share >= 2:
            kept.update(where[keep_extremes(numbers[where], values, share)].tolist())
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
