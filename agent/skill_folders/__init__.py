"""Agent Skills (https://agentskills.io): folders with a SKILL.md, each of them one skill of kind `folder`."""
