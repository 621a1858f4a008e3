"""How much a task, a skill, a model or a caller may leave behind, each limit with what happens beyond it.

Every limit on what is recorded or shown stands here, or is a setting; `docs/limits.md` lists them, and a test compares. What is
longer is cut by `cut` and `cut_middle` only, so a cut looks the same everywhere. Imported by every folder; imports nothing.
"""

# --- one value, one text ---

VALUE_BYTES = 16_000_000
"""Most that is made of one value, about, such as of what a skill returns. Beyond: an error, and nothing of it is kept."""

VALUE_DEPTH = 64
"""How many objects and arrays may stand inside each other. Beyond: an error."""

NUMBER_DIGITS = 100_000
"""Most digits of an integer, which is written as a text beyond 64 bits. Beyond: an error."""

ERROR_CHARS = 4_000
"""Longest text of an error: in the task's row, in events, in the ledger, to a model. Beyond: its middle is left out."""

EXCEPTION_CHARS = 2_000
"""Longest text of a skill's exception within such an error. Beyond: its middle is left out."""

CAUSE_CHARS = 300
"""Longest text of an exception that another one came from. Beyond: cut."""

CAUSES = 5
"""Causes, members of a group, and notes that are told of one exception. Beyond: how many more there are."""

TRACE_CHARS = 20_000
"""Longest traceback, and longest field of a line, in the server's log. Beyond: its middle is left out."""

TRACE_FRAMES = 40
"""Frames of one exception in the server's log. Beyond: those in the middle are left out."""

FINDINGS = 10
"""Findings of a type check that are told. Beyond: how many more there are."""

FINDING_CHARS = 350
"""Longest of these findings. Beyond: cut."""

TOLD_CHARS = 20_000
"""Most that a model is told of what its code printed, returned or raised, and most of its thoughts that are kept. Beyond: the middle is left out."""

ANSWER_CHARS = 1_000_000
"""Longest answer of a model, all that it thinks included. Beyond: the call fails."""

# --- what events and lists show ---

SHOWN_CHARS = 4_000
"""Longest text in an excerpt, of arguments and results in events, and longest task, output, error and metadata in a list. Beyond: cut; the task has its own whole, a pause the arguments that wait, and those of other calls, and their results, are nowhere else for people to read."""

EXCERPT_CHARS = 20_000
"""Most text in one excerpt, all its entries together. Beyond: entries are left out."""

SHOWN_ENTRIES = 100
"""Entries of a list or an object in an excerpt. Beyond: how many more there are."""

EVENT_BYTES = 512 * 1024
"""Largest data of one event. Beyond: an excerpt of it, with `truncated`."""

EVENT_OUTPUT_CHARS = 20_000
"""Longest output in an event or a webhook. Beyond: its beginning as a text, with `outputTruncated`; the task has it whole."""

LOG_BYTES = 32 * 1024 * 1024
"""Most data in the events of one attempt. Beyond: events without code, arguments and results, with `truncated`, and no pieces of answers."""

PAGE_BYTES = 1024 * 1024
"""Most on one page of a list. Beyond: the page ends, after one entry at least, with a cursor to go on."""

HELD_BYTES = 1024 * 1024
"""Most data of events that is held for one stream. Beyond: they are read again from the history."""

# --- what a task keeps ---

TASK_CHARS = 100_000
"""Longest text of a task, an agent's too. Beyond: refused."""

PROMPT_CHARS = 20_000
"""Longest system prompt. Beyond: refused."""

MAX_PRIORITY = 100
"""Highest priority, and below zero the lowest; `CALLBOARD_MAX_PRIORITY` may take less. Beyond: refused."""

LABELS = 32
"""Labels of one task. Beyond: refused."""

LABEL_CHARS = 1_000
"""Longest text of a label. Beyond: refused."""

ATTACHMENTS = 16
"""Files that come with one task. Beyond: refused."""

CODE_CHARS = 100_000
"""Longest code that is run. Beyond: an error."""

LEDGER_BYTES = 32 * 1024 * 1024
"""Most that the calls in the ledger of one task may return, and be given where that is kept for a person, all together. Beyond: a call fails with `ledger_limit`."""

SNAPSHOT_BYTES = 4 * 1024 * 1024
"""Largest snapshot of a script at a call. Beyond: none is kept, and an earlier one, or the beginning, does."""

STATE_BYTES = 4 * 1024 * 1024
"""Largest dump of a session's variables. Beyond: those of the task before stay, and `variablesKept` is false."""

VARIABLES_CHARS = 100_000
"""Most characters in the names of a session's variables. Beyond: as for their dump."""

NOTES = 50
"""Notes that skills may leave with one task's result. Beyond: ignored."""

NOTE_CHARS = 100
"""Longest name of a note. Beyond: cut; of its value an excerpt is kept anyway."""

METADATA_BYTES = 65_536
"""Largest metadata of a result, without what was printed. Beyond: an excerpt of each entry."""

TURN_CHARS = 100_000
"""Longest turn of a conversation, as long as a question may be. Beyond: its middle is left out; the answer is in its task."""

TURN_READ_CHARS = 8_000
"""Most of an earlier turn that a planner is given, for what was said and not for its data. Beyond: its middle is left out."""

CONVERSATION_READ_CHARS = 1_000_000
"""Most of a conversation that a planner is given, a third of a million tokens. Beyond: older turns are left out."""

ARGUMENTS_BYTES = 8_000_000
"""Largest arguments of one call, where a person has to see them whole. Beyond: an error."""

DELIVERY_ERROR_CHARS = 500
"""Longest error of a webhook's delivery. Beyond: cut."""

# --- webhooks on their way ---

WEBHOOKS_AT_ONCE = 256
"""Webhooks on their way at once, and never more than a quarter of the files this process may open. Beyond: they wait for their turn."""

WEBHOOKS_TO_ONE = 4
"""Of these, to one receiver: scheme, host and port. Beyond: they wait for their turn."""

WEBHOOKS_TO_A_SLOW_ONE = 2
"""Of these, to one whose last answer took, or whose next one takes, longer than a second. Beyond: they wait for their turn."""

# --- files ---

FILES = 1_000
"""Files in one workspace. Beyond: an error; CALLBOARD_MAX_FILE_BYTES limits their size, and twenty times as much that of all together."""

FOLDER_DEPTH = 8
"""Parts of a file's path in a workspace. Beyond: an error."""

FILE_NAME_BYTES = 255
"""Longest name of a file. Beyond: refused, or shortened where it is made of a page's address."""

# --- connections ---

HEAD_S = 20
"""Seconds from the first byte of a request to the end of its headers. Beyond: 408, and the connection is closed."""

BODY_S = 20
"""Seconds from the end of its headers to that of its body, and one more for each `BODY_BYTES_PER_S` bytes that have come. Beyond: 408, and the connection is closed."""

BODY_BYTES_PER_S = 4_000
"""Bytes of a body in a second, in the long run. Beyond: as for `BODY_S`."""

IDLE_S = 30
"""Seconds that a connection may stay without a request. Beyond: closed."""

SOCKET_BYTES = 128 * 1024
"""Bytes that the system is asked to hold for one connection, in each direction. Beyond: the client waits, or the server does."""

UNTAKEN_S = 30
"""Seconds in which a client takes nothing of its answer. Beyond: closed; a stream after 10."""

# --- requests ---

HEAD_BYTES = 32 * 1024
"""Largest head of a request, its line and its headers. Beyond: 431."""

REQUEST_LINE_BYTES = 16 * 1024
"""Longest request line, which holds the path and the query. Beyond: 414."""

CHUNK_EXTRA_BYTES = 8 * 1024
"""Most that stands beside the data of a body in chunks: their extensions and the trailers, all together. Beyond: 431."""

REFUSAL_LINES = 600
"""Lines a minute in the server's log about requests that are not HTTP, or are over a limit above. Beyond: counted, and the first line after that minute has the number as `unlogged`."""

_MARK_CHARS = 60


def cut(text: str, most_chars: int) -> str:
    """Return the beginning of a text that is longer than `most_chars`, with how much is left out; never longer than that."""
    if len(text) <= most_chars:
        return text
    kept = max(0, most_chars - _MARK_CHARS)
    return f"{text[:kept]}{left_out(len(text) - kept)}"


def cut_middle(text: str, most_chars: int) -> str:
    """Return the beginning and the end of a text that is longer, such as of a traceback, with how much is left out between."""
    if len(text) <= most_chars:
        return text
    half = max(0, most_chars - _MARK_CHARS) // 2
    return f"{text[:half]}\n{left_out(len(text) - 2 * half)}\n{text[len(text) - half :]}"


def left_out(count: int, what: str = "characters") -> str:
    """Return the mark that stands where something is left out."""
    return f"… [{count:,} more {what} left out]"
