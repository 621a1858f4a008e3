"""Which interpreter runs scripts here, by its name and version. Imported by whoever signs dumps and opens them.

PERF: the installed version, and not what the library says of itself: where worker processes run scripts, the control side signs
dumps and never loads the library, which takes 3 MB.
"""

from importlib.metadata import version

INTERPRETER = f"monty-{version('pydantic-monty')}"
"""Names the interpreter whose dumps can be loaded."""
