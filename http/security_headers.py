"""The headers that tell browsers to be strict, sent with every answer the server gives, its own errors included.

`X-XSS-Protection: 1; mode=block` was the custom. The filter it switches on is gone from browsers, and where it
was it could be turned against the page, so the value is its modern counterpart, `0`, beside a strict
Content-Security-Policy. Constants; imported within `http/` only.
"""

CONTENT_SECURITY_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Nothing may be loaded or run: the answers are data. A page that needs more sends its own policy instead."""


def security_headers(*, production: bool) -> dict[str, str]:
    """Return the headers; HSTS in production only, since a development server has no certificate."""
    headers = {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "X-XSS-Protection": "0",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }
    if production:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return headers
