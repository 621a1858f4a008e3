"""Questions on attached files through a real server: what is posted is what is read, and what is refused says so."""

from __future__ import annotations

import base64
import unicodedata
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard import AgentSystem, Settings
from callboard.file_names import fault_of, told_apart
from tests.agent.documents.workbooks import xlsx
from tests.agent.pages import Site, page, serving
from tests.http.conftest import Running, run
from tests.profiles import examples
from tests.template import lay_history

if TYPE_CHECKING:
    from collections.abc import Iterator

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV = b"a,b\n1,2\n3,4\n"
DAYS = xlsx({"Days": [["day", "b"], [date(2026, 1, 2), 10], [date(2026, 1, 3), 20.5]]})
TWO = xlsx({"Sales": [["b"], [10], [20]], "Costs": [["b"], [5]]})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose attachments may come from this machine, which no other test's may."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("attached"),
        port=0,
        rate_limit_max_requests=0,
        workers=2,
        fetch_allow_private=True,
    )
    with AgentSystem.start(lay_history(settings)) as system:
        running = run(system)
        yield running
        running.stop()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving() as found:
        found.pages = {"/x.csv": page(CSV, "text/csv"), "/days.xlsx": page(DAYS, XLSX)}
        yield found


def attached(name: str, data: bytes, kind: str = "text/csv") -> dict[str, Any]:
    return {"name": name, "mediaType": kind, "data": base64.b64encode(data).decode()}


def test_a_file_with_its_bytes_is_asked_about(server: Running) -> None:
    view = server.result("average of b in x.csv", attachments=[attached("x.csv", CSV)])
    assert (view["output"], view["metadata"]["planner"], view["metadata"]["intent"]) == (3, "offline", "table")
    log = server.client.get(f"/agent/tasks/{view['taskId']}/events").json()["events"]
    (step,) = [event["data"] for event in log if event["topic"] == "agent.step.started"]
    assert (
        step["code"] == "from skills import query_table, read_file\nquery_table(read_file('x.csv'), 'mean', column='b')"
    )


def test_a_file_from_an_address_is_asked_about(server: Running, site: Site) -> None:
    where = f"http://127.0.0.1:{site.port}"
    csv = {"name": "x.csv", "mediaType": "text/csv", "url": f"{where}/x.csv"}
    book = {"name": "days.xlsx", "mediaType": XLSX, "url": f"{where}/days.xlsx"}
    assert server.result("sum of b", attachments=[csv])["output"] == 6
    assert server.result("latest day in days.xlsx", attachments=[csv, book])["output"] == "2026-01-03"


def test_a_sheet_of_a_workbook_is_named_or_asked_for(server: Running) -> None:
    file = attached("two.xlsx", TWO, XLSX)
    assert server.result("average of b in sheet Sales of two.xlsx", attachments=[file])["output"] == 15
    refused = server.result("average of b in two.xlsx", attachments=[file])
    assert refused["errorCode"] == "no_skill_fits"
    assert "has several sheets, 'Sales', 'Costs'; name one" in refused["error"]


def test_code_reads_a_workbook_as_csv(server: Running) -> None:
    code = "```python\nfrom skills import read_file\nread_file('two.xlsx', sheet='Costs')\n```"
    assert server.result(code, attachments=[attached("two.xlsx", TWO, XLSX)])["output"] == "b\n5\n"


def test_what_cannot_be_asked_is_refused_with_a_word_on_the_file(server: Running) -> None:
    view = server.result("Write a poem", attachments=[attached("x.csv", CSV)])
    assert (view["success"], view["errorCode"]) == (False, "no_skill_fits")
    assert "x.csv (CSV, 12 bytes) has 2 rows and the columns a, b" in view["error"]


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("application/vnd.ms-excel", b"\xd0\xcf\x11\xe0", "save it as XLSX or CSV"),
        ("application/vnd.oasis.opendocument.spreadsheet", b"PK\x03\x04", "save it as XLSX or CSV"),
        (
            XLSX,
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "they are a file of an old Office format (.xls, .doc, .ppt); save it as XLSX",
        ),
        (XLSX, b"a,b\n1,2\n", f"says that it is {XLSX}, and its bytes are not"),
    ],
)
def test_another_workbook_is_refused_with_what_would_do(server: Running, kind: str, data: bytes, why: str) -> None:
    body = server.execute("sum of b", attachments=[attached("old.xls", data, kind)]).json()
    assert body["code"] == "attachment_refused"
    assert why in body["message"]


def test_a_workbook_without_a_telling_type_is_named_for_what_it_is(server: Running) -> None:
    for said in ("application/octet-stream", "application/x-zip-compressed", ""):
        view = server.result("sum of b in DAYS.XLSX", attachments=[attached("DAYS.XLSX", DAYS, said)])
        assert view["output"] == 30.5
        task = server.client.get(f"/agent/tasks/{view['taskId']}").json()
        assert task["attachments"] == [{"name": "DAYS.XLSX", "mediaType": XLSX, "size": len(DAYS)}]


@pytest.mark.parametrize(
    "kind", ["Text/CSV", "text/csv; charset=utf-8", 'TEXT/csv;charset="ISO-8859-15";header=present']
)
def test_a_media_type_is_read_in_any_case_and_with_its_charset(server: Running, kind: str) -> None:
    data = "preis in €;b\n1;2\n".encode("utf-8" if "ISO" not in kind else "iso-8859-15")
    view = server.result("Which columns does x.csv have?", attachments=[attached("x.csv", data, kind)])
    assert view["output"] == ["preis in €", "b"]


def test_a_file_of_an_earlier_task_is_asked_about_by_its_name(server: Running) -> None:
    server.result("sum of b", sessionId="kept", attachments=[attached("report (1).csv", CSV)])
    later = server.result("What is the average of b in report (1).csv?", sessionId="kept")
    assert (later["output"], later["metadata"]["intent"]) == (3, "table")
    elsewhere = server.result("What is the average of b in report (1).csv?", sessionId="another")
    assert elsewhere["errorCode"] == "no_skill_fits"


FILE_NAMES = st.text(min_size=1, max_size=255).filter(
    lambda name: fault_of(name) is None
) | st.sampled_from(["report (1).csv", "Übersicht.csv", "报告.xlsx", "décembre.pdf", "🏳️‍🌈.txt", "a'b\"c&d#e%f+g,h;i.TXT", "..x. ", "CON", "é" * 127])  # fmt: skip


@examples(30)
@given(st.lists(FILE_NAMES, min_size=1, max_size=3))
def test_what_a_file_is_called_it_is_called_everywhere(server: Running, names: list[str]) -> None:
    """From the request to the record, the list of files and the reading of each."""
    files = [attached(name, f"{n}".encode(), "text/plain") for n, name in enumerate(names)]
    code = (
        "```python\nfrom skills import list_files, read_file\n"
        "[(file['name'], read_file(file['name'])) for file in list_files()]\n```"
    )
    view = server.result(code, attachments=files)
    used = told_apart([unicodedata.normalize("NFC", name) for name in names])
    assert sorted(map(tuple, view["output"])) == sorted((name, f"{n}") for n, name in enumerate(used))
    task = server.client.get(f"/agent/tasks/{view['taskId']}").json()
    assert [file["name"] for file in task["attachments"]] == used
    log = server.client.get(f"/agent/tasks/{view['taskId']}/events").json()["events"]
    assert log[0]["data"]["attachments"] == used
