"""What a Retry-After asks for."""

from datetime import UTC, datetime

import pytest

from callboard.retry_after import retry_after_s

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("Tue, 24 Nov 2026 12:00:30 GMT", 30),
        ("Tue, 24 Nov 2026 11:00:00 GMT", 0),
        ("9" * 30, 999_999_999),
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
        ("٣", None),
    ],
)
def test_a_number_or_a_date_is_understood_and_nothing_else(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, NOW) == seconds
