"""Which methods a path takes, said by 405 and by OPTIONS alike. Used at start; imported by http/app.py only."""

from typing import Any

from falcon.responders import create_default_options
from falcon.routing import CompiledRouter


class Router(CompiledRouter):
    """Falcon's router, to which OPTIONS is a method of every path: its own `Allow` of OPTIONS leaves that out, and that of 405 not."""

    def map_http_methods(self, resource: object, **options: Any) -> Any:
        methods: dict[str, Any] = dict(super().map_http_methods(resource, **options))
        methods["OPTIONS"] = create_default_options(sorted({*methods, "OPTIONS"}))
        return methods
