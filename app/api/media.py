"""What runs log besides numbers: texts, images, histograms and sounds, in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import ValidationError

from app.api.deps import REFUSED, REFUSED_IN_JSON, ServicesDep, aside
from app.api.json_body import check_json
from app.errors import InvalidError, MediaError, message_of
from app.runs.active import EXTERNAL
from app.schemas.limits import MAX_BODY_BYTES, MAX_WHOLE
from app.schemas.requests import MediumIn
from app.schemas.responses import MediaList, MediumAccepted, MediumOut, NameOfMedia
from app.storage.media import CONTENT_TYPES, Sent, why_refused

router = APIRouter(tags=["media"], responses=REFUSED)

CONTENT_TYPE = "application/vnd.lossboard.media"
# What a script has sent must not run as a page of ours, whatever a browser takes it for.
_INERT = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
_BODY = {
    "requestBody": {"required": True, "content": {CONTENT_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10**9)]
NameQuery = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.post("/runs/{run_id}/media", openapi_extra=_BODY)
async def add_medium(run_id: str, request: Request, services: ServicesDep) -> MediumAccepted:
    """Take in a text, an image (PNG), a histogram or a sound (WAV): on disk before the answer, each once.

    The body is a line of JSON, `{"session", "number", "name", "kind", "step", "time"}`, and the content after it.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise MediaError(f"Send a line of JSON and the content after it, with the header Content-Type: {CONTENT_TYPE}.")
    record = await services.runs.get(run_id)
    if record.method != EXTERNAL:
        raise InvalidError("Only a script's run takes media.", part="path", field=("run_id",))
    body = await request.body()
    return MediumAccepted(accepted=await services.store.media.add(record, await aside(len(body), _parse, body)))


@router.get("/runs/{run_id}/media")
async def list_media(
    run_id: str, services: ServicesDep, name: NameQuery = None, limit: Limit = 100, offset: Offset = 0
) -> MediaList:
    """The names under which a run has logged media, and, of one ``name``, all that are kept, newest first."""
    record = await services.runs.get(run_id)
    names = await services.store.media.names(record)
    items = await services.store.media.of_name(record, name, limit, offset) if name else []
    return MediaList(
        names=[NameOfMedia.model_validate(one) for one in names],
        items=[MediumOut.model_validate(one) for one in items],
    )


@router.get("/runs/{run_id}/media/{number}", response_class=Response, responses=REFUSED_IN_JSON)
async def get_medium(run_id: str, number: Annotated[int, Path(ge=0, le=MAX_WHOLE)], services: ServicesDep) -> Response:
    """The content of one: a text, a PNG, a WAV, or a histogram's `{"edges", "counts"}`."""
    kind, content = await services.store.media.content(await services.runs.get(run_id), number)
    return Response(content, media_type=CONTENT_TYPES[kind], headers=_INERT)


def _parse(body: bytes) -> Sent:
    line, newline, content = body.partition(b"\n")
    if not newline:
        raise InvalidError("Send a line of JSON, a newline, and the content after it.")
    check_json(line, MAX_BODY_BYTES)
    try:
        head = MediumIn.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidError(message_of(first), field=tuple(first["loc"])) from None
    if why := why_refused(head.kind, content):
        raise InvalidError(why, field=("content",))
    return Sent(head.session, head.number, head.name, head.kind, head.step, head.time, content)
