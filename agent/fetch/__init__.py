"""Requests to addresses that a stranger names: to allowed addresses only, within limits of time and size."""
