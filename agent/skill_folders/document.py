"""A SKILL.md as the Agent Skills specification has it, and what is wrong with one.

The specification: https://agentskills.io/specification. Pure functions; imported by discovery and by the skill.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from callboard.agent.findings import Finding, error, note
from callboard.agent.skill_folders.allowed_tools import Granted, granted
from callboard.agent.skill_folders.front_matter import Field, fields_of, split

MAX_NAME_CHARS = 64
MAX_DESCRIPTION_CHARS = 1024
MAX_COMPATIBILITY_CHARS = 500
_KEYS = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The front matter of a SKILL.md. `allowed` None: it declares no allowed-tools, and so no restriction."""

    name: str
    description: str
    license: str = ""
    compatibility: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    allowed: Granted | None = None


def read_document(text: str, folder_name: str) -> tuple[Document | None, list[Finding]]:
    """Return the front matter and everything there is to say about it; no document where there is an error."""
    parts = split(text)
    if isinstance(parts, Finding):
        return None, [parts]
    fields, findings = fields_of(parts[0])
    if not fields:
        return None, findings or [error("its front matter is empty", 2)]
    check = _Check(fields, findings)
    found = Document(
        name=check.name(folder_name),
        description=" ".join(check.text("description", MAX_DESCRIPTION_CHARS, needed=True).split()),
        license=check.text("license"),
        compatibility=check.text("compatibility", MAX_COMPATIBILITY_CHARS),
        metadata=check.metadata(),
        allowed=check.allowed_tools(),
    )
    check.unknown_keys()
    if not parts[1]:
        findings.append(note("it has no instructions behind its front matter"))
    broken = any(finding.level == "error" for finding in findings)
    return None if broken else found, findings


class _Check:
    """Reads the fields one by one and appends to the findings."""

    def __init__(self, fields: Mapping[str, Field], findings: list[Finding]) -> None:
        self._fields = fields
        self._findings = findings

    def text(self, key: str, most: int | None = None, *, needed: bool = False) -> str:
        """Return a field that is a text of 1 to `most` characters; `needed` if it must be there."""
        found = self._fields.get(key)
        if found is None:
            if needed:
                self._findings.append(error(f"`{key}` is missing", 1))
            return ""
        value = found.value
        if not isinstance(value, str):
            self._findings.append(error(f"`{key}` is no text", found.line))
            return ""
        if not value.strip() and (needed or most):
            self._findings.append(error(f"`{key}` is empty", found.line))
        if most and len(value) > most:
            self._findings.append(
                error(f"`{key}` has {len(value):,} characters, {most:,} are the most; shorten it", found.line)
            )
        return value.strip()

    def name(self, folder_name: str) -> str:
        name = self.text("name", MAX_NAME_CHARS, needed=True)
        line = self._fields["name"].line if "name" in self._fields else None
        if name and not _NAME.fullmatch(name):
            self._findings.append(
                error(f"the name {name[:80]!r} must be a-z, 0-9 and single hyphens, none at its ends", line)
            )
        if name and name != folder_name:
            self._findings.append(error(f"the name {name[:80]!r} must be that of its folder, {folder_name!r}", line))
        return name

    def metadata(self) -> Mapping[str, str]:
        found = self._fields.get("metadata")
        if found is None or found.value == "":
            return {}
        if not isinstance(found.value, dict):
            self._findings.append(error("`metadata` is no map of texts", found.line))
            return {}
        deeper = [key for key, value in found.value.items() if not isinstance(value, str)]
        if deeper:
            self._findings.append(note(f"`metadata` holds more than texts: {_listed(deeper)}; not read", found.line))
        return {key: value for key, value in found.value.items() if isinstance(value, str)}

    def allowed_tools(self) -> Granted | None:
        found = self._fields.get("allowed-tools")
        if found is None:
            return None
        value = found.value
        texts = [value] if isinstance(value, str) else value if isinstance(value, list) else None
        if texts is None or not all(isinstance(text, str) for text in texts):
            self._findings.append(error("`allowed-tools` is neither a text nor a list of texts", found.line))
            return None
        allowed = granted([text for text in texts if isinstance(text, str)])
        self._findings.extend(note(sentence, found.line) for sentence in allowed.ignored)
        if not allowed.skills:
            self._findings.append(
                note("`allowed-tools` names no skill of Callboard's: with it no other may be called", found.line)
            )
        return allowed

    def unknown_keys(self) -> None:
        for key, found in self._fields.items():
            if key not in _KEYS:
                self._findings.append(note(f"`{key[:80]}` is no key of the specification; not read", found.line))


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name[:80]}`" for name in names[:10]) + (", …" if len(names) > 10 else "")
