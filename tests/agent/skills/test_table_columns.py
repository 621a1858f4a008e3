"""What a column holds is told by all its cells: the right value, or an error that names the cell, never a guess."""

import csv
import io
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.agent.skills._tables import read_table
from callboard.agent.skills.query_table import query_table


def column(*cells: str, separator: str = ";", name: str = "x", beside: tuple[str, ...] = ()) -> str:
    """Return CSV of a column of these cells, and of another one beside it."""
    out = io.StringIO()
    rows = csv.writer(out, delimiter=separator, lineterminator="\n")
    rows.writerow([name, "beside"])
    rows.writerows([cell, beside[place] if beside else "-"] for place, cell in enumerate(cells))
    return out.getvalue()


def of(*cells: str, operation: str = "sum", **more: Any) -> Any:
    return query_table(column(*cells, **more), operation, more.get("name", "x"))  # type: ignore[arg-type]  # of a table


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0,125", "0,250"], 0.375),
        (["1,250", "0,750"], 2),
        (["12,5", "1.234"], 1246.5),
        (["1.234,56", "12"], 1246.56),
        (["1.234.567", "2.500"], 1_237_067),
        (["1,234,567", "2,500"], 1_237_067),
        (["1,234.56", "2,500"], 3734.56),
        (["1 234,56", "1\u202f000,5", "1\u00a0000", "2\u2009000"], 5235.06),
        (["1'234.56", "1’000.44"], 2235),
        (["12,34,567.5", "1"], 1_234_568.5),
        (["(1,234.50)", "5-", "−5"], -1244.5),
        (["1.5e3", "1E2"], 1600),
        (["$1,250", "$5"], 1255),
        (["1.234,50 €", "€ 5"], 1239.5),
        (["CHF 1'234.50", "CHF 12.–"], 1246.5),
        (["EUR 5", "5 €"], 10),
        (["5 kr", "2,5 kr"], 7.5),
        (["5 zł", "6,50 PLN"], 11.5),
        (["US$5", "USD 6"], 11),
        (["$1.2M", "$900K"], 2_100_000),
        (["12,5 %", "50%", "0"], 62.5),
        (["9 MB", "10 MB", "900 kB"], "19.9 MB"),
        (["1 KiB", "512 B"], "1.5 KiB"),
        (["1h 30m", "45m"], "2h 15m"),
        (["90 min", "30 min"], "120 min"),
        (["1,5 Stunden", "2 Stunden"], "3.5 Stunden"),
        (["01:30:00", "00:45:30"], "02:15:30"),
        (["1:30", "0:45"], "2:15"),
        (["PT1H30M", "PT45M"], "PT2H15M"),
        (["5 kg", "6 kg"], "11 kg"),
        (["9" * 40, "1"], int("1" + "0" * 40)),
        (["0.1", "0.00000000000000000001"], "0.10000000000000000001"),
    ],
)
def test_numbers_are_added_as_the_column_writes_them(cells: list[str], expected: Any) -> None:
    assert of(*cells) == expected


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["1,250", "5"], r"'1,250' in the column x can be read as 1250 or as 1.250, .* \(row 2\)"),
        (["7", "1.234"], r"'1.234' in the column x can be read as 1.234 or as 1234, .* \(row 3\)"),
        (["1.234 €", "2.500 €"], "can be read as 1.234 or as 1234"),
        (["1,5", "2.5"], "'2.5' has a decimal point and '1,5' a decimal comma"),
        (["50%", "0.5"], r"with and without a unit: '50%' \(row 2\) and '0.5' \(row 3\)"),
        (["$5", "10"], r"with and without a unit: '\$5' \(row 2\)"),
        (["$5", "€5"], r"mixes \$ and €"),
        (["5 kg", "300 g"], "mixes g and kg"),
        (["02134", "10001"], "'02134' in the column x is a code, not a number"),
        (["+4930123456", "+4989123456"], "is a code"),
        (["10.0.0.9", "10.0.0.10"], "is a code"),
        (["1.9.0", "1.10.2"], "is a code"),
        (["2026-01-05", "2026-01-06"], "is a date, not a number"),
        (["5", "12 34"], r"'12 34' in the column x is not a number \(row 3\)"),
        (["5", "Inf"], "'Inf' in the column x is not a number"),
        (["9:30 am", "1:00 pm"], "times of the day, which are not added"),
        (["1:30", "00:45:10"], "'1:30' in the column x can be hours and minutes or minutes and seconds"),
    ],
)
def test_what_does_not_add_up_is_refused_by_its_cell(cells: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        of(*cells)


def test_the_separator_and_the_other_columns_tell_what_a_column_does_not() -> None:
    assert of("1.234", "7", separator=",") == 8.234
    assert of("1,250", "7", separator=",", beside=("0.5", "1.5")) == 1257
    assert of("1.234", "7", beside=("0,5", "1,5")) == 1241
    assert of("1.234", "7", separator=",", beside=("0,5", "1,5")) == 1241
    with pytest.raises(ValueError, match="can be read as"):  # a version says nothing of numbers
        of("1,250", "7", separator=",", beside=("1.9", "1.10"))


@pytest.mark.parametrize(
    ("cells", "greatest"),
    [
        (["31.01.2025", "01.02.2026", "15.12.2024"], "01.02.2026"),
        (["13/01/2026", "05/02/2026"], "05/02/2026"),
        (["01/13/2026", "12/02/2025"], "01/13/2026"),
        (["05/05/2026", "06/06/2025"], "05/05/2026"),
        (["2026-1-5", "2025-12-25"], "2026-1-5"),
        (["5 Jan 2026", "Dec 25, 2025"], "5 Jan 2026"),
        (["5. Januar 2026", "1. März 2025"], "5. Januar 2026"),
        (["1er mars 2026", "14 juillet 2025", "2 août 2026"], "2 août 2026"),
        (["Jan 2026", "Dec 2025"], "Jan 2026"),
        (["Q1 2026", "Q4 2025"], "Q1 2026"),
        (["1/2026", "12/2025"], "1/2026"),
        (["2026-01-05 10:30", "2026-01-05T09:00"], "2026-01-05 10:30"),
        (["05.01.2026 09:00", "05.01.2026 10:30 Uhr"], "05.01.2026 10:30 Uhr"),
        (["1/25/2026 3:30 PM", "1/25/2026 11:00 AM"], "1/25/2026 3:30 PM"),
        (["2026-01-05T10:30:00Z", "2026-01-05T11:00:00+02:00"], "2026-01-05T10:30:00Z"),
        (["10:30", "9:45"], "10:30"),
        (["9:30 pm", "11:00 am"], "9:30 pm"),
        (["9 MB", "10 MB", "900 kB"], "10 MB"),
        (["2 h", "90 min"], "2 h"),
        (["9 kg", "10 kg"], "10 kg"),
        (["1.9.0", "1.10.2"], "1.10.2"),
        (["v1.9", "v1.10"], "v1.10"),
        (["10.0.0.9", "10.0.0.10"], "10.0.0.10"),
        (["02134", "10001"], "10001"),
        (["50%", "9%"], 50),
        (["b", "A"], "b"),
    ],
)
def test_extremes_follow_what_the_column_holds(cells: list[str], greatest: Any) -> None:
    assert of(*cells, operation="max") == greatest
    data = column(*cells)
    assert query_table(data, "values", "x", sort_by="x", descending=True)[0] == str(greatest).replace("50", "50%")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["05/02/2026", "06/02/2026"], "'05/02/2026' .* can be read as 2026-02-05 or 2026-05-02"),
        (["13/01/2026", "01/13/2026", "02/03/2026"], "'02/03/2026' .* can be read as"),
        (["2026-01-05", "05/02/2026"], r"'05/02/2026' in the column x can be read as .* \(row 3\)"),
        (["31.01.25", "01.02.26"], "'31.01.25' .* has a year of two digits"),
        (["2026-01-05", "31.02.2026"], "'31.02.2026' .* is no day of the calendar"),
        (["2026-01-05", "soon"], r"'soon' in the column x is not a date \(row 3\)"),
        (["2026-01-05T10:00:00Z", "2026-01-05 11:00"], "has no time zone, unlike other cells"),
        (["Jan 2026", "5 Jan 2026"], "is a month without a day"),
        (["1.9", "1.10"], "can hold numbers or versions"),
        (["02134", "2134"], "codes of different lengths"),
        (["10 green apples", "9 apples"], "its texts begin with numbers"),
    ],
)
def test_what_has_no_sure_order_is_refused(cells: list[str], reason: str) -> None:
    for arguments in ({"operation": "max", "column": "x"}, {"operation": "rows", "sort_by": "x"}):
        with pytest.raises(ValueError, match=reason):
            query_table(column(*cells), **arguments)  # type: ignore[arg-type]  # from a table


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5"], "number"),
        (["5 %"], "percentage"),
        (["$5"], "money"),
        (["5 MB"], "size"),
        (["5 min"], "duration"),
        (["26:00:00"], "duration"),
        (["10:30"], "time"),
        (["5 kg"], "quantity"),
        (["2026-01-05"], "date"),
        (["yes", "No"], "boolean"),
        (["02134"], "code"),
        (["a", "b"], "text"),
        (["1", "a"], "mixed"),
        (["-", "n/a"], "empty"),
    ],
)
def test_a_table_tells_the_kind_of_a_column(cells: list[str], kind: str) -> None:
    assert read_table(column(*cells)).kind("X") == kind


def test_a_filter_of_a_mixed_column_compares_what_fits_and_names_what_may_fit() -> None:
    data = column("05.01.2026", "soon", "2026-01-06", beside=("a", "b", "c"))
    assert query_table(data, "values", "beside", where="x = 2026-01-05") == ["a"]
    assert query_table(data, "values", "beside", where="x = soon") == ["b"]
    assert query_table(data, "values", "beside", where="x != soon and x > 2026-01-05") == ["c"]
    with pytest.raises(ValueError, match=r"'05/02/2026' .* can be read as"):
        query_table(column("05/02/2026", "2026-02-05", "soon"), "count", where="x = 2026-02-05")


def test_the_name_of_a_column_tells_versions_and_codes() -> None:
    assert of("1.9", "1.10", name="version", operation="max") == "1.10"
    with pytest.raises(ValueError, match="is a code"):
        of("10001", "20002", name="zip code")


def test_na_is_a_country_among_countries_and_a_missing_cell_elsewhere() -> None:
    assert query_table("c,v\nNA,1\nDE,2", "sum", "v", group_by="c") == {"NA": 1, "DE": 2}
    assert query_table("c,v\nNA,1\nGermany,2", "sum", "v", group_by="c") == {"": 1, "Germany": 2}


# --- what a program of some country writes is read back exactly, or refused ---

AMOUNTS = st.lists(st.decimals("-99999999", "99999999", places=2, allow_nan=False), min_size=1, max_size=12)
LOCALES = {"english": (",", "."), "german": (".", ","), "swiss": ("'", "."), "french": ("\u202f", ",")}


def localised(value: Decimal, locale: str) -> str:
    group, mark = LOCALES[locale]
    return f"{value:,.2f}".replace(",", "\x00").replace(".", mark).replace("\x00", group)


@pytest.mark.parametrize("locale", LOCALES)
@given(values=AMOUNTS)
def test_amounts_of_a_country_are_read_back(locale: str, values: list[Decimal]) -> None:
    found = of(*(localised(value, locale) for value in values))
    assert Decimal(str(found)) == sum(values, Decimal(0))


@given(
    values=st.lists(st.decimals("-99999", "99999", allow_nan=False), min_size=1, max_size=8),
    locale=st.sampled_from(sorted(LOCALES)),
)
def test_any_numbers_of_a_country_are_read_back_or_refused(values: list[Decimal], locale: str) -> None:
    group, mark = LOCALES[locale]
    texts = [f"{value:,f}".replace(",", "\x00").replace(".", mark).replace("\x00", group) for value in values]
    try:
        found = of(*texts)
    except ValueError:
        return
    assert Fraction(str(found)) == sum(map(Fraction, values))


DAYS = st.lists(st.dates(date(1990, 1, 1), date(2040, 1, 1)), min_size=1, max_size=8)


@given(
    days=DAYS,
    form=st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d %B %Y", "%b %d, %Y"]),
)
def test_the_latest_day_is_found_or_refused(days: list[date], form: str) -> None:
    texts = [day.strftime(form) for day in days]
    either = "/" in form or form == "%d-%m-%Y"
    if either and all(day.day <= 12 for day in days) and any(day.day != day.month for day in days):
        with pytest.raises(ValueError, match="can be read as"):
            of(*texts, operation="max")
    else:
        assert of(*texts, operation="max") == max(days).strftime(form)


@given(
    st.lists(
        st.timedeltas(timedelta(0), timedelta(days=4)).map(lambda one: int(one.total_seconds())), min_size=1, max_size=8
    )
)
def test_clock_times_add_up(seconds: list[int]) -> None:
    def told(one: int) -> str:
        return f"{one // 3600:02}:{one // 60 % 60:02}:{one % 60:02}"

    assert of(*map(told, seconds)) == told(sum(seconds))
