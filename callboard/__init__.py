from callboard import _checkout

_checkout.install()
