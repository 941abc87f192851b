"""Calls that a board refuses, and how it says so."""

from __future__ import annotations

import httpx2

from tests.harness.boards import BoardProcess


def external(board: BoardProcess) -> str:
    """The id of a new run that reports by itself."""
    run_id: str = board.client.post("/api/runs", json={"method": "external"}).json()["id"]
    return run_id


def send(
    board: BoardProcess, verb: str, path: str, body: str | bytes, kind: str = "application/json"
) -> httpx2.Response:
    """A call with this very body."""
    return board.client.request(verb, path, content=body, headers={"Content-Type": kind})


def words_of(answer: httpx2.Response) -> str:
    """What a refusal says: a sentence, in an answer that does not echo what may be of any length."""
    assert 400 <= answer.status_code < 500, answer.text
    assert len(answer.content) < 10_000
    reasons = answer.json()["detail"]
    assert all(set(reason) == {"loc", "msg", "type"} for reason in reasons)
    words: str = reasons[0]["msg"]
    assert words
    return words
