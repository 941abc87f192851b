"""Whoever tries one token after the other is made to wait."""

from __future__ import annotations

import hashlib
import ipaddress
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_WRONG = 10  # different wrong tokens from one address within WINDOW_S
WINDOW_S = 60.0
MAX_ADDRESSES = 1000  # that are remembered
MAX_KNOWN = 8  # right tokens of one address that are remembered
LONG = 32  # characters: what is made by a board cannot be found by trying


@dataclass
class _Address:
    """The hashes of tokens that came from here: wrong ones, with the time of the first try, and right ones."""

    wrong: dict[bytes, float] = field(default_factory=dict)
    known: deque[bytes] = field(default_factory=lambda: deque(maxlen=MAX_KNOWN))


class Slowing:
    """Counts different wrong tokens by the address from which they come.

    Where there were too many, no token is looked at any more for a while: so one that people have chosen cannot be
    found by trying either. What passes all the same is what nobody finds in that way: a long token that is right, and
    one that has come from there before. So a script with an old token keeps nobody else on its machine away.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._addresses: dict[str, _Address] = {}

    def judge(self, host: str, token: str, *, is_right: bool) -> int:
        """Take note of a token that was sent. How many seconds its sender has to wait; 0: it may be answered."""
        address = self._remembered(_network_of(host))
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        if is_right and (len(token) >= LONG or digest in address.known):
            return 0
        now = self._clock()
        address.wrong = {wrong: at for wrong, at in address.wrong.items() if now - at < WINDOW_S}
        if digest in address.wrong:  # a script with an old token, which tries nothing else
            return 0
        if len(address.wrong) >= MAX_WRONG:
            return math.ceil(min(address.wrong.values()) + WINDOW_S - now)
        if is_right:
            address.known.append(digest)
        else:
            address.wrong[digest] = now
        return 0

    def _remembered(self, network: str) -> _Address:
        """What is known of an address; the one that was silent for longest is forgotten for a new one."""
        address = self._addresses.pop(network, None) or _Address()
        if len(self._addresses) >= MAX_ADDRESSES:
            del self._addresses[next(iter(self._addresses))]
        self._addresses[network] = address
        return address


def _network_of(host: str) -> str:
    """An address; of IPv6 the network, of which one machine has all addresses."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
