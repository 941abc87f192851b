"""What the API refuses, as exceptions; app/api/error_handlers.py makes responses of them.

ApiError           400
├── ForbiddenError     403  the token that was sent is not for this
├── NotFoundError      404  no such run, method or dataset
├── ConflictError      409  the request does not fit the state of its subject
├── GoneError          410  the run was deleted
├── MediaError         415  a content type that is not supported here
├── InvalidError       422  a value of the request is wrong
└── UnavailableError   503  Visdom, or the disk, cannot be used at the moment
    └── DamagedError   503  what is stored cannot be read
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from typing import Any

from trainers.numbers import short

_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)


class ApiError(Exception):
    """A request that cannot be done. ``field`` names the part of the request that should be different, in its body or
    wherever else ``part`` says; ``broken`` the rule, with what the message is made of."""

    status = 400

    def __init__(
        self,
        message: str,
        *,
        part: str = "body",
        field: tuple[str | int, ...] = (),
        broken: Mapping[str, Any] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = (part, *field)
        self.broken = broken or {}
        self.extra = extra


class ForbiddenError(ApiError):
    """The token that was sent has too little right."""

    status = 403


class NotFoundError(ApiError):
    """No such run, method or dataset."""

    status = 404


class ConflictError(ApiError):
    """The request does not fit the state of what it speaks of."""

    status = 409


class GoneError(ApiError):
    """The run was deleted."""

    status = 410


class MediaError(ApiError):
    """The body is not of a content type that is understood here."""

    status = 415


class InvalidError(ApiError):
    """A value of the request is wrong; ``more`` are others of the same request."""

    status = 422
    more: tuple[InvalidError, ...] = ()


class UnavailableError(ApiError):
    """Visdom, or the disk, cannot be used just now."""

    status = 503


class DamagedError(UnavailableError):
    """What is stored, of a run or of the whole board, cannot be read."""


def message_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors tells people: a bound like 1e100 is not written out in all its digits."""
    message: str = error["msg"]
    for bound in (error.get("ctx") or {}).values():
        if isinstance(bound, int | float) and abs(bound) >= 1e16:
            message = re.sub(r"-?\d{16,}(\.\d+)?", short(bound), message)
    return message.removeprefix("Value error, ")


def broken_rule(error: Mapping[str, Any]) -> dict[str, Any]:
    """The rule that one of pydantic's errors is about, by its name, with the bounds or counts that it speaks of."""
    values = (error.get("ctx") or {}).items()
    return {"rule": error["type"], **{name: value for name, value in values if isinstance(value, int | float)}}


def out_of_files(error: BaseException | None) -> str | None:
    """The system's words for it if an error comes from too many open files; None if it does not."""
    if isinstance(error, OSError) and error.errno in _OUT_OF_FILES:
        return os.strerror(error.errno)
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(out_of_files, error.exceptions)), None)
    return out_of_files(error.__cause__ or error.__context__) if error else None
