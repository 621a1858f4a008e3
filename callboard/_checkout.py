"""Let a checkout import its top-level folders as ``callboard.<folder>``.

In an installed wheel setuptools has put ``actors/``, ``agent/``, ``http/``, ``persistence/`` and ``workers/`` inside the
package, and this module does nothing. In a checkout (and an editable install of one) they stand beside it,
without an ``__init__.py``, so that ``http/`` never hides the standard library's ``http``.
Imported by ``callboard/__init__.py``, before anything else, and by ``installing.py``.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_ROOT = Path(__file__).resolve().parent.parent
_FOLDERS = frozenset(f"callboard.{folder}" for folder in ("actors", "agent", "http", "persistence", "workers"))


class _CheckoutFinder:
    """A meta path finder for the mapped folders."""

    @classmethod
    def find_spec(
        cls, fullname: str, _path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FOLDERS:
            return None
        return PathFinder.find_spec(fullname, [str(_ROOT)], target)


def root() -> Path | None:
    """Return the checkout that this package stands in, None where it is an installed wheel."""
    return _ROOT if (_ROOT / "setup.cfg").exists() else None


def install() -> None:
    """Add the finder, once, where the folder above is a checkout."""
    if root() is not None and _CheckoutFinder not in sys.meta_path:
        sys.meta_path.append(_CheckoutFinder)
