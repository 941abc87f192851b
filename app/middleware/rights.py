"""Who may call what: for each route, by method and path, the rights of which one is needed.

What is not named here is the owner's alone, and a test fails until a new route is. Rights are no order: who reports
reads nothing but what is asked of a run whose id it knows.
"""

from __future__ import annotations

from starlette.routing import compile_path

type Rights = frozenset[str | None]

OWNER: Rights = frozenset({"owner"})
LOOK: Rights = frozenset({"owner", "read"})
REPORT: Rights = frozenset({"owner", "report", "worker"})
FETCH: Rights = LOOK | {"report"}  # the client, which scripts are given together with their token
ALL: Rights = LOOK | REPORT | {None}

SIGN_IN_FILES = [("GET", f"/{name}") for name in ("sign_in.css", "tokens.css", "base.css", "favicon.svg")]

TABLE: dict[tuple[str, str], Rights] = {
    ("GET", "/api/health"): ALL,  # without the right to look it says that the board is alive, and no more
    ("GET", "/api/challenge"): ALL,  # by it a script knows whom to send its token
    ("GET", "/api/methods"): LOOK,
    ("POST", "/api/methods/{name}/stability"): OWNER,
    ("GET", "/api/lessons"): LOOK,
    ("GET", "/api/runs"): LOOK,
    ("POST", "/api/runs"): REPORT,  # who only reports makes runs of scripts: app/api/runs.py
    ("GET", "/api/runs/columns"): LOOK,
    ("POST", "/api/runs/stop"): OWNER,
    ("POST", "/api/runs/delete"): OWNER,
    ("POST", "/api/runs/restore"): OWNER,
    ("GET", "/api/runs/{run_id}"): LOOK,
    ("PATCH", "/api/runs/{run_id}"): OWNER,
    ("DELETE", "/api/runs/{run_id}"): OWNER,
    ("GET", "/api/runs/{run_id}/data"): LOOK | {"worker"},
    ("GET", "/api/runs/{run_id}/visdom"): LOOK,
    ("POST", "/api/runs/{run_id}/stop"): OWNER,
    ("POST", "/api/runs/{run_id}/finish"): REPORT,
    ("GET", "/api/runs/{run_id}/control"): LOOK | REPORT,
    ("POST", "/api/runs/{run_id}/pause"): OWNER,
    ("POST", "/api/runs/{run_id}/resume"): OWNER,
    ("POST", "/api/runs/{run_id}/step"): OWNER,
    ("POST", "/api/races"): OWNER,
    ("GET", "/api/races/{group:path}"): LOOK,
    ("GET", "/api/runs/{run_id}/points"): LOOK,
    ("POST", "/api/runs/{run_id}/points"): REPORT,
    ("GET", "/api/runs/{run_id}/points.csv"): LOOK,
    ("GET", "/api/runs/{run_id}/media"): LOOK,
    ("POST", "/api/runs/{run_id}/media"): REPORT,
    ("GET", "/api/runs/{run_id}/media/{number}"): LOOK,
    ("GET", "/api/events"): LOOK,
    ("GET", "/api/board"): LOOK,
    ("PATCH", "/api/board"): OWNER,
    ("GET", "/api/board/metrics"): LOOK,
    ("GET", "/api/visdom"): LOOK,
    ("GET", "/api/{rest:path}"): OWNER,
    ("GET", "/openapi.json"): LOOK,
    ("GET", "/docs"): LOOK,
    ("GET", "/docs-assets/{path:path}"): LOOK,
    ("GET", "/lossboard.py"): FETCH,
    ("GET", "/lossboard_extras.zip"): FETCH,
    ("GET", "/visdom"): LOOK,
    ("GET", "/visdom/"): LOOK,
    ("GET", "/visdom/env/{name}"): LOOK,
    ("POST", "/visdom/env/{name}"): LOOK,  # it asks for the windows
    ("GET", "/visdom/compare/{names}"): LOOK,
    ("POST", "/visdom/compare/{names}"): LOOK,
    ("GET", "/visdom/favicon.png"): LOOK,
    ("GET", "/visdom/env/favicon.png"): LOOK,
    ("GET", "/visdom/compare/favicon.png"): LOOK,
    ("GET", "/visdom/static/{path:path}"): LOOK,
    ("GET", "/visdom/user/style.css"): LOOK,
    ("GET", "/visdom/health"): LOOK,
    ("GET", "/visdom/error/{code}"): LOOK,
    ("WEBSOCKET", "/visdom/socket"): LOOK,
    ("GET", "/visdom/{rest:path}"): OWNER,
    **dict.fromkeys(SIGN_IN_FILES, ALL),
    ("GET", "/{path:path}"): LOOK,  # the files of the page
}

_PATTERNS = [(method, compile_path(path)[0], rights) for (method, path), rights in TABLE.items() if "{" in path]


def rights_for(method: str, path: str) -> Rights:
    """Who may call this; a websocket's method is WEBSOCKET."""
    method = "GET" if method == "HEAD" else method
    if (exact := TABLE.get((method, path))) is not None:
        return exact
    for own, pattern, rights in _PATTERNS:
        if own == method and pattern.match(path):
            return rights
    return OWNER
