"""Texts that look like numbers and are none: codes with leading zeros, versions, IP addresses, phone numbers.

They are told by the whole column, and by its name where the cells alone do not tell. Pure functions; any thread;
imported by the modules of tables.
"""

import ipaddress
import re
from collections.abc import Collection

_CODE_NAME = re.compile(
    r"(?:^| )(?:zip(?: ?code)?|post(?:al)? ?code|postal|plz|postleitzahl|code postal|phone(?: number)?|telephone|tel|telefon(?:nummer)?|"
    r"fax|mobile|handy|isbn|ean|gtin|upc|iban|bic|sku|ssn|barcode)(?: (?:no|nr|number|code))?$"
)
_VERSION_NAME = re.compile(r"(?:^| )(?:version|ver|release|firmware|revision)(?: (?:no|nr|number))?$")
_DIGITS = re.compile(r"[0-9]+")
_PADDED = re.compile(r"0[0-9]+")
_VERSION = re.compile(r"[vV]?([0-9]+(?:\.[0-9]+){0,4})([-+.]?[A-Za-z][A-Za-z0-9.+-]*)?")
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_GROUPS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}")
_PHONE = re.compile(r"(?:\+|00|\(?0)[0-9](?:[0-9 ()/.\u00a0-]*[0-9])?")
_PHONE_DIGITS = 6

Order = tuple[object, ...]


def addresses(texts: Collection[str]) -> dict[str, Order] | None:
    """Return IP addresses with what to compare them by; None if a text is none."""
    read: dict[str, Order] = {}
    for text in texts:
        if not 3 <= len(text) <= 45 or not ("." in text or ":" in text):
            return None
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        read[text] = (address.version, int(address))
    return read


def is_version_name(name: str) -> bool:
    return bool(_VERSION_NAME.search(name))


def versions(texts: Collection[str], name: str) -> dict[str, Order] | None:
    """Return versions with what to compare them by, where three parts, a `v` or the column's name says that they are."""
    read: dict[str, Order] = {}
    sure = is_version_name(name)
    for text in texts:
        found = _VERSION.fullmatch(text) if len(text) <= 60 else None
        if not found or (found[2] and not sure and "." not in found[1]):
            return None
        if text[0] in "vV" or found[1].count(".") > 1:
            sure = sure or not _GROUPS.fullmatch(text)
        read[text] = version_order(text) or ()
    return read if sure else None


def version_order(text: str) -> Order | None:
    """Return what to compare a version by: its parts as numbers; `1.2-rc1` goes before `1.2`. None if it is none."""
    found = _VERSION.fullmatch(text)
    if not found:
        return None
    parts = [int(part) for part in found[1].split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    return (tuple(parts), not found[2], _natural(found[2] or ""))


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    pieces = re.findall(r"[0-9]+|[^0-9]+", text.lower())
    return tuple((0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces)


def is_code(texts: Collection[str], name: str) -> bool:
    """Tell a column of codes in digits: one has a leading zero, all are phone numbers, or the column is named so."""
    if all(_DIGITS.fullmatch(text) for text in texts):
        return any(_PADDED.fullmatch(text) for text in texts) or bool(_CODE_NAME.search(name))
    if all(_PHONE.fullmatch(text) and len(_DIGITS.findall(text)) for text in texts):
        return all(sum(map(str.isdigit, text)) >= _PHONE_DIGITS for text in texts)
    return bool(_CODE_NAME.search(name))


def may_be_versions(texts: Collection[str], name: str) -> bool:
    return is_version_name(name) or twofold(texts)


def twofold(texts: Collection[str]) -> bool:
    """Tell decimals that may be versions (`1.9`, `1.10`): some end in 0 and others have fewer decimals."""
    if not all(_DECIMAL.fullmatch(text) for text in texts):
        return False
    decimals = {len(text.partition(".")[2]) for text in texts}
    return len(decimals - {0}) > 1 and any("." in text and text[-1] == "0" for text in texts)
