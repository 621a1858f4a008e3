"""Plans for questions on tables: Python that asks the skill `query-table`, once where that is enough.

Pure; any thread; imported by `tables` only.
"""

from collections.abc import Mapping

from callboard.agent.planner.base import Plan, PlanRequest, call, own_plan, script, source_of
from callboard.agent.planner.table_checks import where_of
from callboard.agent.planner.table_facts import Facts
from callboard.agent.planner.table_question import Question

_SKILL = "query-table"
_ASKED = "query_table(data,"
Options = Mapping[str, str | int | bool | None]


def plan(question: Question, data: str, facts: Facts, request: PlanRequest) -> Plan:
    """Return the plan; raise `TaskError` if the task may not call the skill."""
    if question.kind == "columns":
        return own_plan(repr(list(facts.columns)), "table")
    if question.kind == "column_count":
        return own_plan(repr(len(facts.columns)), "table")
    expression, imports = _expression(question, facts)
    call(request, _SKILL, data, "count")  # refuses where the skill may not be called
    if expression.count(_ASKED) == 1 and "lambda" not in expression:
        code = expression.replace(_ASKED, f"query_table({source_of(request, data)},", 1)
    else:
        # A function instead of a variable, which would stay in the session.
        code = f"(lambda data: {expression})({source_of(request, data)})"
    return own_plan(script(*imports, code, skills=(_SKILL,)), "table")


def _ask(operation: str, **options: str | int | bool | None) -> str:
    """Return a call of the skill on `data`, without what is not asked for."""
    return _ask_of("data", operation, options)


def _ask_of(data: str, operation: str, options: Options) -> str:
    given = [f"{name}={value!r}" for name, value in options.items() if value is not None and value is not False]
    return f"query_table({', '.join([data, repr(operation), *given])})"


def _expression(question: Question, facts: Facts) -> tuple[str, tuple[str, ...]]:
    where = where_of(question, facts)
    column = question.columns[0] if question.columns else None
    match question.kind:
        case "fold" if question.pick:
            return _of_picked(question, where), ("import json",)
        case "fold":
            return _folded(question, where, facts), ()
        case "count":
            return _grouped("count", column, question, where, facts), ()
        case "distinct" if question.folds:
            return _grouped("distinct_count", column, question, where, facts), ()
        case "distinct":
            return _ask("distinct", column=column, where=where), ()
        case "nth" if question.pick:
            operation = "min" if question.pick.descending else "max"
            return _of_picked(question, where, operation), ("import json",)
        case "extreme":
            return _extreme(question, where), ()
        case "group_extreme":
            return _group_extreme(question, where), ()
        case "share":
            return _share(question, where, facts), ()
        case "difference":
            first, second = (
                _ask(question.folds[0], column=column, where=_both(where, facts.where([one])))
                for one in question.against
            )
            return f"abs({first} - {second})", ()
        case "rows" | "values" | "value" | "nth" | "columns" | "column_count" | "unsaid" | "ordinal":
            return _listed(question, where), ()


def _folded(question: Question, where: str | None, facts: Facts) -> str:
    column = question.columns[0]
    if question.folds == ("range",):
        return f"{_ask('max', column=column, where=where)} - {_ask('min', column=column, where=where)}"
    if question.folds == ("mode",):
        counts = _ask("count", column=column, group_by=column, where=where)
        key = "(int(key) if float(key) == int(float(key)) else float(key))" if _is_bare(column, facts) else "key"
        best = f"[{key} for key, count in counts.items() if count == max(counts.values())]"
        return f"(lambda best: best[0] if len(best) == 1 else best)((lambda counts: {best})({counts}))"
    asked = {fold: _grouped(fold, column, question, where, facts) for fold in question.folds}
    return (
        next(iter(asked.values()))
        if len(asked) == 1
        else "{" + ", ".join(f"{k!r}: {v}" for k, v in asked.items()) + "}"
    )


def _is_bare(column: str, facts: Facts) -> bool:
    return facts.kind(column) == "number" and facts.are_plain(column) and facts.unit(column) == {""}


def _grouped(operation: str, column: str | None, question: Question, where: str | None, facts: Facts) -> str:
    """Return one call; by two columns one for each value of the first, in a dict of dicts."""
    groups = question.groups
    if len(groups) < 2:
        return _ask(operation, column=column, group_by=groups[0] if groups else None, where=where)
    quote = '"' if facts.kind(groups[0]) == "text" else ""
    condition = f'{where + " and " if where and not question.either else ""}"{groups[0]}" = {quote}'
    inner = (
        f"query_table(data, {operation!r}, "
        + (f"column={column!r}, " if column else "")
        + f"group_by={groups[1]!r}, where={condition!r} + str(value)"
        + (f" + {quote!r})" if quote else ")")
    )
    return f"{{value: {inner} for value in {_ask('distinct', column=groups[0], where=where)}}}"


def _of_picked(question: Question, where: str | None, operation: str | None = None) -> str:
    """Return the first few rows, asked again: they are data like any other."""
    pick = question.pick
    assert pick is not None
    rows = _ask("rows", where=where, sort_by=pick.column, descending=pick.descending, limit=pick.count)
    folds = (operation,) if operation else question.folds
    asked = {fold: _ask_of(f"json.dumps({rows})", fold, {"column": question.columns[0]}) for fold in folds}
    return (
        next(iter(asked.values()))
        if len(asked) == 1
        else "{" + ", ".join(f"{k!r}: {v}" for k, v in asked.items()) + "}"
    )


def _listed(question: Question, where: str | None) -> str:
    pick = question.pick
    by = pick.column if pick else question.by
    down = pick.descending if pick else question.descending
    last = pick is not None and pick.column is None and pick.descending
    options: Options = {
        "where": where, "sort_by": by, "descending": down and by is not None, "limit": pick.count if pick and not last else None
    }  # fmt: skip
    if len(question.columns) == 1:
        return _ask_of("data", "values", {"column": question.columns[0], **options})
    rows = _ask_of("data", "rows", options)
    if last and pick:
        return f"{rows}[-{pick.count}:]"
    if not question.columns:
        return rows
    cells = ", ".join(f"{column!r}: row.get({column!r})" for column in question.columns)
    return f"[{{{cells}}} for row in {rows}]"


def _extreme(question: Question, where: str | None) -> str:
    """Return who has the most; a list where several share it, as the checks have counted."""
    pick = question.pick
    assert pick is not None
    options: Options = {"where": where, "sort_by": pick.column, "descending": pick.descending, "limit": pick.count}
    one = "[0]" if pick.count == 1 else ""
    if len(question.columns) == 1:
        return _ask_of("data", "values", {"column": question.columns[0], **options}) + one
    rows = _ask_of("data", "rows", options)
    if question.columns:
        cells = ", ".join(f"{column!r}: row.get({column!r})" for column in question.columns)
        rows = f"[{{{cells}}} for row in {rows}]"
    return rows + one


def _group_extreme(question: Question, where: str | None) -> str:
    column = question.columns[0] if question.columns else None
    operation = question.folds[0] if question.folds else "count"
    groups = _ask(operation, column=column, group_by=question.groups[0], where=where)
    choose = "max" if question.descending else "min"
    best = f"[key for key, value in groups.items() if value == {choose}(groups.values())]"
    return f"(lambda best: best[0] if len(best) == 1 else best)((lambda groups: {best})({groups}))"


def _share(question: Question, where: str | None, facts: Facts) -> str:
    column = question.columns[0] if question.columns else None
    operation = "sum" if column else "count"
    of = facts.where(question.against)
    whole = _ask(operation, column=column, where=of)
    if question.groups:
        parts = _ask(operation, column=column, group_by=question.groups[0])
        return f"(lambda whole: {{key: round(100 * part / whole, 10) for key, part in {parts}.items()}})({whole})"
    return f"round(100 * {_ask(operation, column=column, where=_both(of, where))} / {whole}, 10)"


def _both(first: str | None, second: str | None) -> str | None:
    return " and ".join(part for part in (first, second) if part) or None
