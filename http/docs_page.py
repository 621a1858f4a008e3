"""The page at /docs: the OpenAPI document as plain HTML that needs no script and loads nothing.

# SECURITY: every text of the document goes through `escape`; the one style sheet is allowed by its hash.
Pure functions, called once. Imported by http/about.py only.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from callboard.http.sse import EVENT_STREAM

Document = Mapping[str, Any]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; background: Canvas; color: CanvasText; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
code { font-family: ui-monospace, monospace; font-size: 0.9em; background: var(--soft); border-radius: 3px; }
code { padding: 0 0.25em; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.3em 0.6em; border-bottom: 1px solid var(--line); }
section { margin: 1.5rem 0; padding: 0 1rem 1rem; border: 1px solid var(--line); border-radius: 6px; }
.method { text-transform: uppercase; font-weight: 700; }
"""


def docs_page(document: Document) -> str:
    """Return the whole page."""
    info = document["info"]
    title = f"{info['title']} {info['version']}: API"
    body = [
        f"<h1>{escape(title)}</h1>",
        _prose(info["description"]),
        '<p>The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>',
        _contents(document),
    ]
    for tag in document["tags"]:
        body.append(f"<h2>{escape(tag['name'])}</h2>{_prose(tag['description'])}")
        body += [_operation(document, *entry) for entry in _operations(document) if entry[2]["tags"] == [tag["name"]]]
    body.append("<h2>Schemas</h2>")
    body += [_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>'
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _operations(document: Document) -> list[tuple[str, str, Document]]:
    return [(path, method, found) for path, item in document["paths"].items() for method, found in item.items()]


def _contents(document: Document) -> str:
    rows = "".join(
        f'<li><a href="#{escape(operation["operationId"])}"><code><span class="method">{escape(method)}</span> '
        f"{escape(path)}</code></a> {escape(operation['summary'])}</li>"
        for path, method, operation in _operations(document)
    )
    return f"<nav><ul>{rows}</ul></nav>"


def _operation(document: Document, path: str, method: str, operation: Document) -> str:
    name = escape(operation["operationId"])
    heading = f'<code><span class="method">{escape(method)}</span> {escape(path)}</code>'
    parts = [f'<section id="{name}"><h3>{heading}</h3><p><strong>{escape(operation["summary"])}.</strong></p>']
    parts.append(_prose(operation.get("description", "")))
    called = f"{method.upper()} {path}"
    parts.append(_parameters(called, [_found(document, one) for one in operation["parameters"]]))
    if "requestBody" in operation:
        parts.append(f"<p>Body: {_type(_json_schema(operation['requestBody']))}</p>")
    rows = []
    for status, response in operation["responses"].items():
        found = _found(document, response)
        rows.append((f"<code>{escape(status)}</code>", escape(found["description"]), _bodies(found)))
    parts.append(_table(f"Answers of {called}", ("Status", "Meaning", "Body"), rows))
    return "".join(parts) + "</section>"


def _found(document: Document, part: Document) -> Document:
    """Return a part of the document, or what it refers to."""
    if "$ref" not in part:
        return part
    kind, name = part["$ref"].split("/")[2:]
    found: Document = document["components"][kind][name]
    return found


def _parameters(operation: str, parameters: list[Document]) -> str:
    rows = [
        (
            f"<code>{escape(parameter['name'])}</code>",
            escape(parameter["in"]),
            _type(parameter["schema"]),
            _inline(parameter["description"]),
        )
        for parameter in parameters
    ]
    return _table(f"Parameters of {operation}", ("Parameter", "In", "Type", "Meaning"), rows) if rows else ""


def _schema(name: str, schema: Document) -> str:
    required = schema.get("required", [])
    rows = [
        (
            f"<code>{escape(field)}</code>",
            _type(found) + ("" if field in required else ", optional"),
            _inline(found.get("description", "")),
        )
        for field, found in schema.get("properties", {}).items()
    ]
    table = _table(f"Fields of {name}", ("Field", "Type", "Meaning"), rows) if rows else f"<p>{_type(schema)}</p>"
    about = _prose(schema.get("description", ""))
    return f'<section id="schema-{escape(name)}"><h3><code>{escape(name)}</code></h3>{about}{table}</section>'


def _json_schema(holder: Document) -> Document:
    schema: Document = holder["content"]["application/json"]["schema"]
    return schema


def _bodies(response: Document) -> str:
    """Return what an answer can hold: nothing, a value, and a stream for those who ask for one."""
    content = response.get("content", {})
    if not content:
        return ""
    streams = [
        f"<p><code>{escape(kind)}</code>: {_inline(found['schema']['description'])}</p>"
        for kind, found in content.items()
        if kind == EVENT_STREAM
    ]
    return _type(_json_schema(response)) + "".join(streams)


def _type(schema: Document) -> str:
    """Return a schema in a few words, with a link where it is one of the page's."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for branches in (schema[key] for key in ("anyOf", "oneOf") if key in schema):
        return " or ".join(dict.fromkeys(_type(branch) for branch in branches))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']).lower())}</code>"
    kind = escape(str(schema.get("type", "any")))
    if kind == "array":
        return f"array of {_type(schema.get('items', {}))}"
    limits = [f"{word} {_short(schema[key])}" for key, word in _LIMITS.items() if key in schema]
    return kind + (f" ({escape(', '.join(limits))})" if limits else "")


def _short(limit: Any) -> str:
    """Return a limit, of a long pattern no more than that it is one."""
    text = str(limit)
    return text if len(text) <= _MOST_SHOWN else f"a pattern of {len(text)} characters"


_MOST_SHOWN = 80
_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "maxLength": "characters at most",
    "maxProperties": "entries at most",
    "pattern": "matching",
    "default": "default",
}


def _table(label: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; `rows` hold HTML already. It scrolls where the screen is narrow, so the keyboard has to reach it."""
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    region = f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">'
    return f"{region}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph.strip())


def _inline(text: str) -> str:
    """Return escaped text with `code` marked up."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
