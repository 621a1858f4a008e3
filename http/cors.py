"""Cross-origin requests from browsers, by Falcon's own middleware. Imported by http/app.py only."""

from typing import Any

from falcon import CORSMiddleware

from callboard.settings import Settings

EXPOSED = (
    "Idempotent-Replayed",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-Id",
)
"""Headers of answers that a page's script may read, besides the few that every browser lets it read."""


def cors(settings: Settings) -> CORSMiddleware[Any, Any]:
    """Return the middleware for the configured origins; no credentials, since a key is a header and not a cookie."""
    origins = settings.cors_origins
    return CORSMiddleware(allow_origins="*" if "*" in origins else origins, expose_headers=EXPOSED)
