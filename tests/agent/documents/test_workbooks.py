"""XLSX as CSV: what is in its cells, which sheet, and what hostile or odd workbooks come to."""

import io
import zipfile
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest

from callboard.agent.documents.reading import XLSX, CannotRead, Document, read
from tests.agent.documents.workbooks import archive, as_excel_writes, changed, xlsx

FIRST = "xl/worksheets/sheet1.xml"


def sheet(data: bytes, name: str | None = None, **limits: Any) -> Document:
    return read(data, XLSX, sheet=name, **limits)


def test_cells_come_as_they_are_stored() -> None:
    rows = [
        ["text", "number", "day", "moment", "truth", "long"],
        ["a, b", 0.1 + 0.2, date(2026, 1, 2), datetime.fromisoformat("2026-01-02T03:04:05"), True, 12345678901234567],
        ['say "x"\nand y', 3.0, time(13, 30), timedelta(hours=26, minutes=5), False, None],
        ["007", -1e300, None, None, None, "größe"],
    ]
    data = changed(xlsx({"S": rows}), FIRST, r"1\.234567890123457e\+16", "12345678901234567")  # openpyxl rounds
    data = changed(data, FIRST, r"<v>0\.3</v>", "<v>0.30000000000000004</v>")
    assert sheet(data).text == (
        "text,number,day,moment,truth,long\n"
        '"a, b",0.30000000000000004,2026-01-02,2026-01-02T03:04:05,TRUE,12345678901234567\n'
        '"say ""x""\nand y",3,13:30:00,26:05:00,FALSE,\n'
        "007,-1e+300,,,,größe\n"
    )


def test_what_is_empty_around_the_content_is_left_out_and_rows_between_are_not() -> None:
    rows = [[], [None, None, "a", "b"], [None, None, 1, None], [], [None, None, None, 2], [None, None, "", None]]
    assert sheet(xlsx({"S": rows})).text == "a,b\n1,\n,\n,2\n"


def test_an_error_and_a_formula_without_a_saved_result_are_told_with_their_cells() -> None:
    data = xlsx({"S": [["a", "b"], [1, "=A2*2"], [2, "x"]]})
    found = sheet(changed(data, FIRST, r'<c r="B3"[^>]*>.*?</c>', '<c r="B3" t="e"><v>#DIV/0!</v></c>'))
    assert found.faults == ("B2 is a formula whose result was not saved", "B3 is #DIV/0!")
    assert found.text == "a,b\n1,=A2*2\n2,#DIV/0!\n"


def test_a_saved_result_of_a_formula_is_its_value_and_an_empty_text_is_none() -> None:
    data = xlsx({"S": [["a", "b", "c"], [1, "=A2*2", '=""']]})
    data = changed(data, FIRST, r"<f>A2\*2</f><v ?/>", "<f>A2*2</f><v>2</v>")
    data = changed(data, FIRST, r'<c r="C2"><f>[^<]*</f><v ?/>', '<c r="C2" t="str"><f>""</f><v></v>')
    found = sheet(data)
    assert (found.text, found.faults) == ("a,b,c\n1,2,\n", ())


def test_a_workbook_as_excel_writes_it_is_read() -> None:
    rows = (
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        '<row r="2" hidden="1"><c r="A2" t="s"><v>2</v></c><c r="B2"><v>1.1000000000000001</v></c></row>'
        '<row r="3"><c r="B3"><f>SUM(B2:B2)</f><v>1.1000000000000001</v></c></row>'
    )
    texts = (
        "<si><t>name</t></si><si><t>Größe</t></si><si><r><t>a</t></r><r><t xml:space='preserve'> b_x000D_c</t></r></si>"
    )
    assert sheet(as_excel_writes(rows, texts)).text == 'name,Größe\n"a b\nc",1.1\n,1.1\n'


def test_cells_merged_over_rows_are_told_and_those_within_one_row_are_not() -> None:
    rows = [["a", "b"], ["x", 1], [None, 2], ["y", 3]]
    assert sheet(xlsx({"S": rows}, merged=["A2:A3"])).merged == ("A2:A3",)
    assert sheet(xlsx({"S": [["Title", None], ["a", "b"], [1, 2]]}, merged=["A1:B1"])).merged == ()


def test_the_sheet_is_the_only_one_that_is_shown_and_holds_anything() -> None:
    sheets: dict[str, Any] = {"Empty": [], "Data": [["a"], [1]], "Aside": [["z"], [9]]}
    found = sheet(xlsx(sheets, hidden=["Aside"]))
    assert (found.text, found.sheet, found.sheets) == ("a\n1\n", "Data", ("Empty", "Data", "Aside"))


@pytest.mark.parametrize("name", ["Aside", "aside", " ASIDE "])
def test_a_sheet_is_had_by_its_name_a_hidden_one_too(name: str) -> None:
    assert sheet(xlsx({"Data": [["a"], [1]], "Aside": [["z"], [9]]}, hidden=["Aside"]), name).text == "z\n9\n"


def test_several_sheets_are_named_and_none_is_guessed() -> None:
    data = xlsx({"Sales": [["a"], [1]], "Q1 Costs": [["a"], [2]]})
    for name, why in (
        (None, "has several sheets, 'Sales', 'Q1 Costs'; name one"),
        ("x", "has no sheet 'x'; there are"),
    ):
        with pytest.raises(CannotRead, match=why) as caught:
            sheet(data, name)
        assert caught.value.sheets == ("Sales", "Q1 Costs")


def test_a_workbook_that_says_it_is_as_large_as_can_be_is_read_for_what_it_holds() -> None:
    data = changed(xlsx({"S": [["a"], [1]]}), FIRST, r'<dimension ref="[^"]*"', '<dimension ref="A1:XFD1048576"')
    assert sheet(data).text == "a\n1\n"


def test_a_cell_far_away_costs_no_more_than_the_limit() -> None:
    data = changed(xlsx({"S": [["a"], [1]]}), FIRST, r'<row r="2">.*?</row>', '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')  # fmt: skip
    assert sheet(data, max_chars=1000).cut


def _bomb() -> bytes:
    """Return a workbook that says of one of its files that it is of 600 MB."""
    out = io.BytesIO(xlsx({"S": [["a"]]}))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as book:
        book.writestr("xl/media.bin", b"")
        book.filelist[-1].file_size = 600_000_000
    return out.getvalue()


def _entities() -> bytes:
    """Return a workbook whose one text is a billion letters, by XML entities that double each other."""
    names = ["a", *(f"a{n}" for n in range(1, 31))]
    made = "".join(f'<!ENTITY {name} "&{less};&{less};">' for less, name in pairwise(names))
    data = changed(xlsx({"S": [["text"]]}), FIRST, "^<worksheet", f'<!DOCTYPE x [<!ENTITY a "a">{made}]><worksheet')
    return changed(data, FIRST, "<t>text</t>", f"<t>&{names[-1]};</t>")


ODD: dict[str, tuple[bytes, str]] = {
    "broken": (xlsx({"S": [["a"]]})[:-100], "not a zip file"),
    "another archive": (archive({"a": b"x"}), "it is a zip archive and no XLSX workbook"),
    "a document": (archive({"[Content_Types].xml": b"", "word/document.xml": b"<a/>"}), "no XLSX workbook"),
    "ods": (archive({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), "OpenDocument file; save it as"),
    "xlsb": (archive({"[Content_Types].xml": b"", "xl/workbook.bin": b""}), "XLSB workbook; save it as XLSX"),
    "no sheets": (xlsx({"S": []}), "holds nothing in a sheet that is shown"),
    "too much": (_bomb(), "unpacks to more than 500,000,000 bytes"),
    "entities": (_entities(), "workbook cannot be read"),
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_workbook_is_an_error_that_says_so(kind: str) -> None:
    data, why = ODD[kind]
    with pytest.raises(CannotRead, match=why):
        sheet(data)
