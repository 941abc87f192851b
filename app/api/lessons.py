"""Lessons that are ready to start."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import REFUSED
from app.lessons import LESSONS
from app.schemas.responses import Lesson

router = APIRouter(tags=["lessons"], responses=REFUSED)


@router.get("/lessons")
async def list_lessons() -> list[Lesson]:
    """Short lessons, in the order in which they build on each other."""
    return LESSONS
