"""A skill that changes the world, once: it charges a card through a payment provider.

`keyed` says that a call may be repeated if it carries the same key. The key is `ctx.effect_id`: it stays the same
when a call is repeated, so a provider that honours the Idempotency-Key header charges one time only. Use `never`
for a service that has no such header.

The address of the provider is the setting CALLBOARD_SKILL_PAYMENTS_URL, read as ctx.settings["payments_url"].
"""

import httpx

from callboard import SkillContext, TaskError, skill

TIMEOUT_S = 10.0


@skill(replay="keyed")
def charge_card(amount_pence: int, order: str, *, ctx: SkillContext) -> str:
    """Charge the customer's card for an order and return the id of the payment."""
    address = ctx.settings.get("payments_url", "")
    if not address:
        raise TaskError("skill_not_configured", "charge-card has no provider: set CALLBOARD_SKILL_PAYMENTS_URL.")
    if amount_pence <= 0:
        raise ValueError(f"amount_pence is {amount_pence}; give at least 1.")
    answer = httpx.post(
        f"{address}/charges",
        json={"amount": amount_pence, "order": order},
        headers={"Idempotency-Key": ctx.effect_id},
        timeout=_time_left_s(ctx),
    )
    if answer.status_code == 402:
        raise TaskError("skill_failed", f"The card for the order {order} was declined.")
    answer.raise_for_status()
    return str(answer.json()["id"])


def _time_left_s(ctx: SkillContext) -> float:
    """Return how long to wait: never longer than the task has."""
    return TIMEOUT_S if ctx.remaining_s is None else max(0.001, min(TIMEOUT_S, ctx.remaining_s))
