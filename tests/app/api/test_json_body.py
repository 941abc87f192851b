"""How JSON in requests is read: what is too large, or too much at once, and what is told of many errors."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, HTTPException, Request
from pydantic import AfterValidator

from app.api.error_handlers import MAX_REASONS, add_error_handlers
from app.api.json_body import JsonRoute, check_json
from app.middleware.body_limit import BodyLimit
from app.schemas.limits import MAX_BODY_BYTES, MAX_DATA_BYTES, MAX_PARTS, MAX_VALUES
from app.schemas.requests import RequestModel


def _no_memory(_: str) -> str:
    raise MemoryError


class Note(RequestModel):
    """A small body."""

    text: str = ""
    huge: Annotated[str, AfterValidator(_no_memory)] = ""


class Numbers(RequestModel):
    """A large one."""

    max_bytes = MAX_DATA_BYTES

    x: list[float]


router = APIRouter(route_class=JsonRoute)


@router.post("/notes")
async def add_note(note: Note) -> str:
    return note.text


@router.post("/numbers")
async def add_numbers(numbers: Numbers) -> int:
    return len(numbers.x)


@router.post("/echo")
async def echo(request: Request) -> int:
    return len(await request.body())


def app_of(**limits: int) -> FastAPI:
    app = FastAPI()
    app.add_middleware(BodyLimit, **limits)
    add_error_handlers(app)
    app.include_router(router)
    return app


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://board")


def post(path: str, content: bytes | str | AsyncIterator[bytes]) -> httpx2.Response:
    async def ask() -> httpx2.Response:
        async with client_of(app_of()) as client:
            return await client.post(path, content=content, headers={"Content-Type": "application/json"})

    return asyncio.run(ask())


def refusal(answer: httpx2.Response) -> dict[str, Any]:
    """The first reason that an answer gives."""
    reason: dict[str, Any] = answer.json()["detail"][0]
    assert set(reason) == {"loc", "msg", "type"}
    return reason


def test_a_body_becomes_a_model() -> None:
    assert post("/notes", '{"text": "é"}').json() == "é"
    assert post("/numbers", json.dumps({"x": [0.5] * 300_000})).json() == 300_000


@pytest.mark.parametrize("declared", [True, False])
def test_a_small_call_takes_no_large_body(declared: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"1" * 1000

    answer = post("/notes", b"1" * (MAX_BODY_BYTES + 1) if declared else pieces())
    assert answer.status_code == 413
    assert "256 KiB" in refusal(answer)["msg"]


def test_of_many_errors_the_first_are_told() -> None:
    answer = post("/notes", json.dumps({f"field {number}": 1 for number in range(10_000)}))
    assert answer.status_code == 422
    assert len(answer.json()["detail"]) == len(answer.json()["broken"]) == MAX_REASONS
    assert refusal(answer) == {
        "loc": ["body", "field 0"],
        "msg": "Extra inputs are not permitted",
        "type": "extra_forbidden",
    }


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"{", b"[" * 1000, b"\xff", b'{"a": "\\ud800"}'])
def test_what_is_no_object_is_told_what_to_send(body: bytes) -> None:
    answer = post("/notes", body)
    assert answer.status_code == 422
    assert refusal(answer)["loc"][0] == "body"
    assert "Send a JSON object" in refusal(answer)["msg"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"x": [' + b"[]," * MAX_PARTS + b"1]}",
        b'{"x": [' + b"{}," * MAX_PARTS + b"1]}",
        b"{" + b'"k":1,' * MAX_PARTS + b'"x": []}',
        b'{"x": [' + b"1," * MAX_VALUES + b"1,1]}",
    ],
    ids=["lists", "objects", "entries", "values"],
)
def test_a_large_body_has_numbers_and_little_else(body: bytes) -> None:
    answer = post("/numbers", body)
    assert answer.status_code == 413
    assert "2,250,000 values" in refusal(answer)["msg"]


def test_a_text_of_json_within_another_body_is_checked_too() -> None:
    check_json(b"[" * 1024, 1024)
    with pytest.raises(HTTPException, match="at most 1 KiB"):
        check_json(b"[" * 1025, 1024)


OUT_OF_MEMORY = """
import resource
import psutil
from app.api.json_body import check_json
from app.schemas.requests import PointsIn

body = b'{"seq": 0, "step": [' + b"1," * 2_000_000 + b'1], "metrics": {}}'
resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + (50 << 20),) * 2)
try:
    check_json(body, PointsIn.max_bytes)
    PointsIn.model_validate_json(body)
except MemoryError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="no bound on memory")
def test_what_there_is_no_memory_for_is_refused_before_the_parser_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", OUT_OF_MEMORY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr[-1000:]


def test_too_little_memory_ends_the_request_only() -> None:
    answer = post("/notes", '{"huge": "a"}')
    assert answer.status_code == 503
    assert "too little memory" in refusal(answer)["msg"]


def test_while_too_much_is_held_others_are_asked_to_wait() -> None:
    async def ask() -> list[int]:
        app = app_of(held=1000)
        begun, going_on = asyncio.Event(), asyncio.Event()

        async def halting() -> AsyncIterator[bytes]:
            yield b"1" * 900
            begun.set()
            await going_on.wait()
            yield b"1" * 50

        async with client_of(app) as client:
            first = asyncio.create_task(client.post("/echo", content=halting()))
            await begun.wait()
            second = await client.post("/echo", content=b"1" * 200)
            assert "at once" in refusal(second)["msg"]
            going_on.set()
            await first
            third = await client.post("/echo", content=b"1" * 1000)
        return [first.result().json(), second.status_code, third.json()]

    assert asyncio.run(ask()) == [950, 503, 1000]
