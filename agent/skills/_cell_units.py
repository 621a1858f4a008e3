"""Units that stand beside numbers: which ones are known, and what they are compared in.

Pure functions; any thread; imported by the modules of tables.
"""

from decimal import Decimal

from callboard.agent.skills._figures import EXACT, MAGNITUDES, Figure, figure, is_money

SIZES = {
    **dict.fromkeys(("B", "byte", "bytes", "Byte", "Bytes"), 1),
    **{f"{letter}B": 1000**n for n, letter in enumerate("kMGTP", 1)},
    **{f"{letter}iB": 1024**n for n, letter in enumerate("KMGTP", 1)},
    "KB": 1000,
}
"""Bytes in each unit of size."""

KNOWN_UNITS = frozenset(
    "kg g mg µg t lb lbs oz km m cm mm µm nm mi ft yd in l L ml mL cl dl hl W kW MW kWh MWh Wh V A mA mAh Hz kHz MHz GHz bar Pa hPa "
    "kPa °C °F K px pt pcs pc Stk rpm km/h mph ppm dB cal kcal J kJ k M B T bn mn mio Mio Mrd Mb Gb kb kbps Mbps Gbps".split()
)


def known_unit(unit: str) -> bool:
    return unit in ("%", "‰") or unit in SIZES or unit in KNOWN_UNITS or is_money((unit,))


def sure_figure(text: str) -> Figure | None:
    """Return a number that is one by itself: it has no unit, or one that is known."""
    found = figure(text)
    return found if found and (not found.unit or known_unit(found.unit)) else None


def scaled(number: Decimal, unit: str) -> tuple[Decimal, str]:
    """Return a number in the unit that its kind is compared in: bytes for sizes, the plain currency for $1.2M."""
    money, _, magnitude = unit.partition(" ")
    if magnitude in MAGNITUDES:
        return EXACT.multiply(number, Decimal(MAGNITUDES[magnitude])), money
    if unit in SIZES:
        return EXACT.multiply(number, Decimal(SIZES[unit])), "B"
    if unit.endswith("s") and (unit[:-1] in KNOWN_UNITS or (not known_unit(unit) and len(unit) > 2)):
        unit = unit[:-1]
    return number, unit if known_unit(unit) else unit.lower()
