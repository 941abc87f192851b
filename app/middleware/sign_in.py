"""The page on which a browser sends its token, in the reader's language: the only one that is there for everybody."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope

from app.addresses import relative, root_from

PATH = "/api/sign-in"  # where its form is sent

_MAX_BODY_BYTES = 10_000
_LOCAL = re.compile(r"/(?![/\\])[!-~]*")  # an address on this board


@dataclass(frozen=True)
class Words:
    """What the page says."""

    title: str
    token: str
    button: str
    where: str
    whose: str
    wrong: str
    report: str
    slow: str


WORDS = {
    "en": Words(
        title="Sign in",
        token="Token",  # noqa: S106
        button="Sign in",
        where="This board asks for a token. The link that it printed at its start has it; on its machine this prints"
        " the link again:",
        whose="Is it somebody else's board? Ask them for a link.",
        wrong="This is no token of this board, or it was renewed.",
        report="This token is for scripts, and shows nothing. To look takes the owner's, or the one for reading.",
        slow="There were too many wrong tokens. Wait a minute, then try again.",
    ),
    "zh": Words(
        title="登录",
        token="令牌",  # noqa: S106
        button="登录",
        where="这个面板需要令牌。启动时打印的链接中含有它；在运行面板的机器上，下面的命令会再次打印该链接：",
        whose="这是别人的面板吗？请向对方索取链接。",
        wrong="这不是此面板的令牌，或者它已被更换。",
        report="这个令牌供脚本使用，不能用来查看。查看需要所有者令牌或只读令牌。",
        slow="错误的令牌太多了。请等一分钟再试。",
    ),
}


def wants_page(method: str, scope: Scope) -> bool:
    """Whether a refused request is a browser's that opens a page."""
    accepts = Headers(scope=scope).get("accept", "")
    return method == "GET" and "text/html" in accepts and not scope["path"].startswith("/api/")


def sign_in_page(scope: Scope, status: int, problem: str = "", back: str = "/") -> HTMLResponse:
    """The page. ``problem``: of the words the one that tells why the last token was not taken; ``back``: the address
    to which a right one leads."""
    language = _language(Headers(scope=scope).get("accept-language", ""))
    words = WORDS[language]
    root = root_from(scope)
    alert = f'<p class="error" role="alert" id="problem">{getattr(words, problem)}</p>' if problem else ""
    described = ' aria-invalid="true" aria-describedby="problem"' if problem else ""
    page = f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{words.title} – Lossboard</title>
<link rel="icon" type="image/svg+xml" href="{root}favicon.svg">
<link rel="stylesheet" href="{root}sign_in.css">
</head>
<body>
<main>
<h1><img src="{root}favicon.svg" alt="" width="24" height="24"> Lossboard</h1>
<form method="post" action="{relative(PATH, scope)}">
<label for="token">{words.token}</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus{described}>
{alert}
<input type="hidden" name="next" value="{html.escape(local(back))}">
<button class="primary" type="submit">{words.button}</button>
</form>
<p>{words.where}</p>
<pre>lossboard token</pre>
<p>{words.whose}</p>
</main>
</body>
</html>
"""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return HTMLResponse(page, status, {"Cache-Control": "no-store", **headers})


async def read_form(receive: Receive) -> tuple[str, str]:
    """The token in the form that was sent, and the address to which it leads."""
    body = b""
    while len(body) <= _MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    fields = parse_qs(body[:_MAX_BODY_BYTES].decode(errors="replace"))
    return fields.get("token", [""])[-1].strip(), local(fields.get("next", ["/"])[-1])


def local(address: str) -> str:
    """An address on this board as it is; in the place of any other, that of the page."""
    return address if _LOCAL.fullmatch(address) else "/"


def _language(accepted: str) -> str:
    """The language of the page that a browser's reader likes best."""
    liked: list[tuple[float, str]] = []
    for part in accepted.split(","):
        name, _, quality = part.strip().partition(";q=")
        if (language := name[:2].lower()) in WORDS:
            weight = float(quality) if re.fullmatch(r"[01](\.\d{1,3})?", quality) else 1.0
            liked.append((-weight, language))
    return min(liked, key=lambda one: one[0])[1] if liked else "en"
