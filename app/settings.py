"""Everything that can be set: one class, read from LOSSBOARD_… environment variables and the command line."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

import lossboard


def _split(names: object) -> object:
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else names


def _host_name(name: str) -> str:
    if not re.fullmatch(r"[\w.-]+|\[?[0-9a-fA-F:.]+\]?", name):
        raise ValueError(f"{name!r} is no host name; send names alone, without http:// and port: board.example.com")
    return name


def _network(name: str) -> str:
    try:
        return str(ipaddress.ip_network(name, strict=False))
    except ValueError:
        raise ValueError(
            f"{name!r} is no address of a proxy; send one like 127.0.0.1, or a network like 10.0.0.0/8"
        ) from None


def _root_path(path: str) -> str:
    path = path.rstrip("/")
    if path and not ROOT_PATH.fullmatch(path):
        raise ValueError(f"{path!r} is no path; send one that begins with a slash, such as /lossboard")
    return path


def _token(token: str) -> str:
    if not re.fullmatch(r"[!#-+./:<-\[\]-~\-\w]{1,200}", token, re.ASCII):
        raise ValueError(
            "no token; send off, on, auto or up to 200 characters without spaces, quotes, commas, semicolons and"
            " backslashes"
        )
    return token


ROOT_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~@!$&'()*+,;=:-]+)+")  # as it stands in an address

type HostName = Annotated[str, AfterValidator(_host_name)]
type ProxyName = Annotated[str, AfterValidator(_network)]


class Settings(BaseSettings):
    """The settings of one board; each is also an environment variable, LOSSBOARD_ and its name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix="LOSSBOARD_", populate_by_name=True, extra="ignore", env_ignore_empty=True
    )

    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[
        int, Field(ge=0, le=65535, description="Port to listen on; a free one is taken if it is in use.")
    ] = 8000
    data_dir: Annotated[
        Path,
        Field(
            default_factory=lossboard.data_folder,  # where scripts on this machine leave their journals
            validation_alias=AliasChoices("data_dir", "LOSSBOARD_DIR", "LOSSBOARD_DATA_DIR"),
            description="Folder of the board's data; also LOSSBOARD_DIR.",
        ),
    ]
    allowed_hosts: Annotated[
        tuple[HostName, ...],
        NoDecode,  # a plain list in the environment, not JSON
        BeforeValidator(_split),
        Field(description="Further names of this board, comma-separated: those that a proxy or tunnel gives it."),
    ] = ()
    root_path: Annotated[
        str,
        AfterValidator(_root_path),
        Field(description="Path below which a proxy shows this board, such as /lossboard."),
    ] = ""
    trusted_proxy: Annotated[
        tuple[ProxyName, ...],
        NoDecode,
        BeforeValidator(_split),
        Field(
            description="Addresses or networks of proxies, comma-separated, whose X-Forwarded-Proto, -Host, -Prefix and"
            " -For are believed.",
        ),
    ] = ()
    uds: Annotated[Path | None, Field(description="Unix socket to listen on besides, for a proxy.")] = None
    token: Annotated[  # not in what is printed of the settings
        str,
        AfterValidator(_token),
        Field(
            repr=False,
            description="Whether a token is asked for: on, off, or auto: where this board listens beyond loopback, or"
            " other people log in to this machine. Anything else is the owner's token itself.",
        ),
    ] = "auto"  # noqa: S105
    log_requests: Annotated[bool, Field(description="Write a line of log for each request.")] = False
    browser: Annotated[bool, Field(description="Open the page in a browser at start.")] = True
    max_running: Annotated[
        int,
        Field(
            default_factory=lambda: os.cpu_count() or 1,
            ge=1,
            description="Runs at full speed at once; more queue.",
        ),
    ]
    max_slowed: Annotated[
        int, Field(ge=1, description="Runs slowed by steps_per_second at once; they take no slot.")
    ] = 64
    overlay_runs: Annotated[int, Field(ge=1, le=50, description="Latest runs drawn in the shared windows.")] = 8
    visdom_url: Annotated[
        str | None, Field(description="Use the Visdom that runs at this address instead of starting one.")
    ] = None
    workers: Annotated[
        Literal["auto", "spawn"],
        Field(
            description="How runs are started: forked from a prepared process where the system can, or, as on Windows,"
            " each as a fresh program (spawn)."
        ),
    ] = "auto"
    preload_torch: Annotated[
        bool, Field(description="Import torch in the background at start, so that torch runs begin at once.")
    ] = True

    @property
    def is_shown_elsewhere(self) -> bool:
        """Whether a proxy or tunnel brings others here, though this board may listen on loopback only."""
        return bool(self.root_path or self.trusted_proxy or self.uds or self.allowed_hosts)

    @property
    def url(self) -> str:
        """The board's address as a browser on this machine types it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return (
            f"http://[{host}]:{self.port}" if host.count(":") > 1 and "[" not in host else f"http://{host}:{self.port}"
        )
