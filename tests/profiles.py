"""How many examples hypothesis tries, and which: `test` is for every run, `nightly` looks for what nobody has seen yet.

The load of the machine decides nothing in either: no example has a deadline.
"""

from hypothesis import HealthCheck, settings

_NIGHTLY_TIMES = 20
_PATIENT = (HealthCheck.too_slow,)

# The same examples every time, so that a run that fails fails again, and one that does not says something.
settings.register_profile("test", deadline=None, derandomize=True, suppress_health_check=_PATIENT)
settings.register_profile(
    "nightly", deadline=None, max_examples=100 * _NIGHTLY_TIMES, print_blob=True, suppress_health_check=_PATIENT
)


def is_nightly() -> bool:
    return settings.get_current_profile_name() == "nightly"


def times() -> int:
    """Return how many times as many examples as usual are tried."""
    return _NIGHTLY_TIMES if is_nightly() else 1


def examples(usual: int) -> settings:
    """Return the settings of a test whose examples are dear, or share a fixture: `usual` of them in every run."""
    checks = (*_PATIENT, HealthCheck.function_scoped_fixture)
    return settings(max_examples=usual * times(), suppress_health_check=checks)
