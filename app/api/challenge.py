"""How a board shows a script that it is the one on the script's data folder, before it is sent anything.

Any user of the machine may listen on the port where a script looks. The key is in the data folder, which only its owner
reads. The address is in the proof, so that whoever passes a challenge on to the board has a proof for another address.
"""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Query

from app.api.deps import REFUSED, ServicesDep
from app.schemas.responses import Proof

router = APIRouter(tags=["scripts"], responses=REFUSED)

Nonce = Annotated[
    str, Query(min_length=32, max_length=64, pattern="^[0-9a-f]+$", description="Random, 32 to 64 hex digits.")
]


@router.get("/challenge")
async def challenge(nonce: Nonce, services: ServicesDep) -> Proof:
    """Prove that this is the board of a data folder: HMAC-SHA256 of the nonce, a space and the board's address, with
    the key in that folder."""
    words = f"{nonce} {services.settings.url}"
    return Proof(proof=hmac.new(services.key, words.encode(), "sha256").hexdigest())
