"""The skills that the tasks of the stored histories call; the versions that made those stood still inside of them."""

import os
import time

from callboard import skill


def _stand_still(where: str) -> None:
    if where in os.environ.get("STAND_STILL", "").split(","):
        time.sleep(3600)


@skill(replay="safe")
def look_up(name: str) -> str:
    """Look something up."""
    _stand_still("look_up")
    return f"{name} was found"


@skill(replay="keyed")
def book(name: str) -> str:
    """Book something."""
    return f"{name} is booked"


@skill(replay="never")
def charge(amount: int) -> int:
    """Charge an amount."""
    _stand_still("charge")
    return amount


@skill(replay="never")
def pay(amount: int) -> int:
    """Pay an amount."""
    return amount
