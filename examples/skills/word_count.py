"""A pure skill: its answer depends on its arguments alone, and calling it changes nothing.

Copy this file into the folder that CALLBOARD_SKILLS_DIR names and start the server again. A task's code then has
`from skills import word_count`; in `availableSkills` the skill is `word-count`.
"""

from collections import Counter

from callboard import skill


@skill(replay="pure")
def word_count(text: str, at_least: int = 1) -> dict[str, int]:
    """Count how often each word occurs in a text, leaving out words that occur fewer than `at_least` times."""
    if at_least < 1:
        raise ValueError(f"at_least is {at_least}; give 1 or more.")
    counts = Counter(text.lower().split())
    return {word: count for word, count in counts.most_common() if count >= at_least}
