"""How the pages of signing in look: one small document without scripts and without anything from elsewhere.

Everything that comes from outside is escaped here, in one place.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape

from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; --page: #f3f4f6; --card: #fff; --text: #1b1f24; --soft: #5d6470; --line: #d5d9df;
        --main: #1f6fd0; --on-main: #fff; --good: #0b7d5e; --bad: #b93a12; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --card: #1d2126; --text: #e6e8eb; --soft: #9aa1ab; --line: #363c44;
          --main: #6aa9f2; --on-main: #0d1116; --good: #4cc9a4; --bad: #f08a68; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem 1rem; background: var(--page);
       color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 30rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
       padding: 1.75rem; }
.brand { margin: 0 0 1.25rem; color: var(--soft); font-size: .875rem; letter-spacing: .02em; }
h1 { margin: 0 0 .75rem; font-size: 1.375rem; line-height: 1.25; }
a { color: var(--main); } p { margin: 0 0 1rem; } .soft { color: var(--soft); font-size: .875rem; }
dl { margin: 0 0 1.25rem; display: grid; grid-template-columns: auto 1fr; gap: .375rem 1rem; border: solid var(--line);
     border-width: 1px 0; padding: .875rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.code { font: 600 1.125rem ui-monospace, monospace; letter-spacing: .08em; }
code { font: .875em ui-monospace, monospace; overflow-wrap: anywhere; }
label { display: block; margin-bottom: .375rem; font-weight: 600; }
input { width: 100%; padding: .625rem .75rem; margin-bottom: .5rem; border: 1px solid var(--soft); border-radius: 8px;
        background: var(--page); color: inherit; font: inherit; }
.row { display: flex; gap: .75rem; margin-top: 1rem; }
button { flex: 1; padding: .6875rem 1rem; border: 1px solid var(--soft); border-radius: 8px; background: none; color: inherit;
         font: inherit; font-weight: 600; cursor: pointer; }
button.main { background: var(--main); border-color: var(--main); color: var(--on-main); }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
.note { border-left: 4px solid var(--bad); padding: .125rem 0 .125rem .875rem; } .note.good { border-color: var(--good); }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # "no-referrer" would make browsers send the form with "Origin: null"
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(title: str, content: str, status: int = 200) -> HTMLResponse:
    """A whole page around `content`, which is HTML made by the functions below."""
    document = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)} - pandascope</title><style>{_STYLE}</style></head>"
        f'<body><main><p class="brand">pandascope</p><h1>{escape(title)}</h1>{content}</main></body></html>\n'
    )
    return HTMLResponse(document, status, _HEADERS)


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; `kind` soft, note or `note good`."""
    role = ' role="alert"' if kind == "note" else ""
    return f'<p class="{kind}"{role}>{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def facts(pairs: list[tuple[str, str]]) -> str:
    """Names and values; the value named Code is set apart."""
    rows = (
        f"<dt>{escape(name)}</dt><dd{' class=code' if name == 'Code' else ''}>{escape(value)}</dd>"
        for name, value in pairs
    )
    return f"<dl>{''.join(rows)}</dl>"


def code_form(user_code: str = "") -> str:
    """Where a person types the code."""
    return (
        '<form method="get" action="/auth/device"><label for="user_code">Code</label>'
        f'<input id="user_code" name="user_code" value="{escape(user_code)}" class="code" required autofocus maxlength="40" '
        'autocomplete="off" autocapitalize="characters" spellcheck="false" placeholder="XXXX-XXXX">'
        '<div class="row"><button class="main">Continue</button></div></form>'
    )


def decision_form(user_code: str, form_token: str, *, asks_for_token: bool, vo: str) -> str:
    """Confirm or deny, with a field for a token when nobody is signed in."""
    field = (
        '<label for="token">Your token</label>'
        '<input id="token" name="token" type="password" autocomplete="off" required>'
        f'<p class="soft">Printed by <code>panda token create --user NAME --vo {escape(vo)}</code>; or '
        '<a href="/monitor/">sign in to the monitor</a> and open this page again.</p>'
    )
    return (
        '<form method="post" action="/auth/device">'
        f'<input type="hidden" name="user_code" value="{escape(user_code)}">'
        f'<input type="hidden" name="form_token" value="{escape(form_token)}">{field if asks_for_token else ""}'
        '<div class="row"><button class="main" name="decision" value="approve">Confirm</button>'
        '<button name="decision" value="deny" formnovalidate>Deny</button></div></form>'
    )
