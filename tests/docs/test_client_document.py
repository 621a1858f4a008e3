"""docs/client.md names every method, keyword and error of the client, and nothing that it has not."""

import inspect
import re

from callboard import CallboardError, Client
from callboard.client import errors as client_errors
from tests.docs.documents import ROOT, rows

CLIENT = ROOT / "docs" / "client.md"
CALL = re.compile(r"`(\w+)\(([^)`]*)\)`")


def test_every_method_is_documented_with_its_arguments() -> None:
    documented = {name: arguments for cells in rows(CLIENT) for name, arguments in CALL.findall(cells[0])}
    methods = {name: found for name, found in vars(Client).items() if inspect.isfunction(found) and name[0] != "_"}
    assert documented.keys() == methods.keys()
    for name, method in methods.items():
        parameters = list(inspect.signature(method).parameters.values())[1:]
        expected = {"…" if one.kind is one.VAR_KEYWORD else one.name for one in parameters}
        assert set(re.findall(r"\w+|…", documented[name])) == expected, name


def test_every_error_is_documented() -> None:
    raised = {
        name
        for name, found in vars(client_errors).items()
        if inspect.isclass(found) and issubclass(found, CallboardError) and found is not CallboardError
    }
    documented = {match[1] for cells in rows(CLIENT) if (match := re.fullmatch(r"`(\w+(?:Error|Timeout))`", cells[0]))}
    assert documented == raised
