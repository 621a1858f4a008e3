"""How large a table may be, said before anything is done with it.

Work goes from column to column and over all rows of each, so it grows with the cells, not with the text: an empty object of
JSON has two characters and a cell in every column. Pure functions; any thread; imported by the modules of tables.
"""

MAX_CHARS = 1_000_000
MAX_COLUMNS = 200
MAX_CELLS = 500_000
MAX_PATH_CHARS = 1_000
"""Longest path to a value inside of objects that is a column."""


def check_chars(text: str) -> None:
    if len(text) > MAX_CHARS:
        raise ValueError(f"The data has {len(text)} characters and the limit is {MAX_CHARS}; give it in parts.")


def check_size(columns: int, rows: int) -> None:
    """Raise `ValueError` for a table with too many columns, or cells, counting those that rows lack."""
    if columns > MAX_COLUMNS:
        raise ValueError(f"The data has {columns} columns and the limit is {MAX_COLUMNS}; leave some of them out.")
    if columns * rows > MAX_CELLS:
        raise ValueError(
            f"The data has {columns} columns in {rows} rows and the limit is {MAX_CELLS} cells; give it in parts."
        )
