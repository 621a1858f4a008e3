"""A program of its own: reads one document from its standard input and writes its text to its standard output.

Run by `reading.py` by its path, and never imported: what strangers made is taken apart here, where a fault of a parser,
a document that unpacks to gigabytes, or one that takes hours costs a process and not the server. In: one line of JSON
(`kind`, `max_chars`, `base_url`, `sheet`, `cpu_s`, `memory_bytes`, `path`), then the document. Out: JSON, `text`, `title`
and `cut`, of a workbook what `_workbook.py` has beside it, or `error`.
"""

import contextlib
import json
import re
import resource
import runpy
import sys
from html import unescape
from pathlib import Path
from typing import Any

NOT_SHOWN = ["nav", "footer", "aside", "form", "svg", "iframe", "button", "[role=navigation]", "[aria-hidden=true]"]
"""What of a page is not what it is about."""

_SPAN = re.compile(r"\b(col|row)span\s*=\s*[\"']?\s*\d{3,}", re.IGNORECASE)
"""A cell that spans hundreds: each column would be written out in each row."""

_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,1000})", re.IGNORECASE)


def html(data: bytes, base_url: str | None) -> tuple[str, str | None]:
    import html_to_markdown

    # its own way to tell the title is to write it above the text, among other things
    options = html_to_markdown.ConversionOptions(
        base_url=base_url,
        skip_images=True,
        compact_tables=True,
        extract_metadata=False,
        exclude_selectors=NOT_SHOWN,
    )
    page = _SPAN.sub(r"\1span=1", data.decode("utf-8", "replace"))
    title = _TITLE.search(page)
    text = html_to_markdown.convert(page, options).content or ""
    return text.strip(), " ".join(unescape(title[1]).split()) if title else None


def pdf(data: bytes, max_chars: int) -> tuple[str, str | None]:
    import io

    import pypdf

    try:
        # what is in front of the header, such as a server's own lines, is none of it, and places are counted from there
        document = pypdf.PdfReader(io.BytesIO(data[max(0, data.find(b"%PDF-", 0, 1024)) :]))
        if document.is_encrypted and not document.decrypt(""):
            raise ValueError("it asks for a password; save it without one")
        text = _pages(document, max_chars)
    except pypdf.errors.PyPdfError as error:
        raise ValueError(f"it is damaged or was cut short ({error}); save it again") from error
    title: str | None = None
    with contextlib.suppress(Exception):  # whatever a broken one leads to, the text is there
        title = document.metadata.title if document.metadata else None
    return text, title


def _pages(document: Any, max_chars: int) -> str:
    """Return the text of the pages; a page that is a picture, among others with text, says so in its place."""
    pages, chars = [], 0
    for number, page in enumerate(document.pages, 1):
        text = page.extract_text().strip()
        chars += len(text) + 2 if text else 0
        pages.append(text or (f"[Page {number} is a picture, without text.]" if _is_picture(page) else ""))
        if chars > max_chars:
            break
    if not pages:
        raise ValueError("it has no pages")
    if not chars:
        many = f"{len(pages):,} pages are pictures or blank" if len(pages) > 1 else "one page is a picture or blank"
        raise ValueError(f"it has no text, its {many}; have its text recognised (OCR) first and use what comes of that")
    return "\n\n".join(pages).strip()


def _is_picture(page: Any) -> bool:
    with contextlib.suppress(Exception):  # whatever a broken one leads to
        return bool(page.images.keys())
    return False


def workbook(data: bytes, sheet: str | None, max_chars: int) -> dict[str, Any]:
    # openpyxl would take these where they are there: to load numpy costs much of this process's memory, and lxml reads otherwise
    sys.modules |= {"numpy": None, "lxml": None}  # type: ignore[dict-item]
    program = runpy.run_path(str(Path(__file__).with_name("_workbook.py")))
    found: dict[str, Any] = program["read"](data, sheet, max_chars)
    return found


def main() -> None:
    asked = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (asked["cpu_s"], asked["cpu_s"] + 1))
    with contextlib.suppress(ValueError, OSError):  # not every system has this one
        resource.setrlimit(resource.RLIMIT_AS, (asked["memory_bytes"], asked["memory_bytes"]))
    sys.path[:] = asked["path"]
    data, max_chars = sys.stdin.buffer.read(), asked["max_chars"]
    try:
        if asked["kind"] == "xlsx":
            said = workbook(data, asked["sheet"], max_chars)
            said["text"] = said["text"][:max_chars]
        else:
            text, title = html(data, asked["base_url"]) if asked["kind"] == "html" else pdf(data, max_chars)
            said = {"text": text[:max_chars], "title": title and str(title)[:500], "cut": len(text) > max_chars}
    except MemoryError:
        said = {"error": "it takes too much memory"}
    except RecursionError:
        said = {"error": "it is nested too deeply"}
    except Exception as error:  # noqa: BLE001  # a parser of what strangers made raises anything
        said = {"error": " ".join(f"{error}".split())[:300] or type(error).__name__}
        said |= {"sheets": getattr(error, "sheets", [])}
    sys.stdout.buffer.write(json.dumps(said).encode())


if __name__ == "__main__":
    main()
