"""Programming languages: their names, how to tell them apart, and where their comments and strings are.

Pure functions; any thread; imported by `code_analysis` and its rules, and by the planner's recogniser of code.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Language:
    """One language: `suffix` picks lizard's reader, `family` how comments and strings are written."""

    name: str
    suffix: str
    family: str
    aliases: tuple[str, ...]
    hints: tuple[str, ...]


_ALL = (
    Language("python", "py", "hash", ("py", "python3", "python2", "py3"), (
        r"^[ \t]*(?:async )?def \w+\([^()\n]*\)(?: *-> *[^\n:]+)?:", r"^[ \t]*(?:from [\w.]+ )?import [\w.]+(?: as \w+)?\s*$",
        r"^[ \t]*(?:elif|except|with|class|for|if|while)\b[^\n{};]*:[ \t]*(?:#[^\n]*)?$", r"\bself\.", r"^[ \t]*print\(",
    )),
    Language("typescript", "ts", "js", ("ts", "tsx"), (
        r"\b(?:const|let|function)\b[^\n=;]{0,200}: *(?:string|number|boolean|any|void|unknown|\w+\[\])",
        r"^[ \t]*(?:export )?(?:interface|type|enum) \w+", r"\bimport type\b", r"\b(?:private|readonly|public) \w+: ",
    )),
    Language("javascript", "js", "js", ("js", "jsx", "node", "nodejs", "node.js", "ecmascript", "es6"), (
        r"\bfunction\b *\w*\([^()\n]*\) *\{", r"\b(?:const|let|var) [\w{[]", r"=>", r"\bconsole\.\w+\(", r"===|!==",
        r"\bdocument\.|\brequire\(",
    )),
    Language("java", "java", "c", (), (
        r"\bpublic (?:static |final |abstract )*(?:class|interface|enum|void|int|String)\b", r"\bSystem\.out\.",
        r"^[ \t]*import java", r"\bString\[\] args\b", r"\bnew \w+<?\w*>?\(", r"^[ \t]*@Override",
        r"^[ \t]*(?:public|private|protected) [\w<>\[\] ]{1,60}\(",
    )),
    Language("csharp", "cs", "c", ("c#", "cs", "dotnet", ".net"), (
        r"^[ \t]*using [A-Z][\w.]*;", r"\bnamespace [A-Z]", r"\bConsole\.Write", r"\bstring\[\] args\b", r"\bget; set;",
        r"\bforeach *\(var\b", r"\bstatic void Main\b",
    )),
    Language("cpp", "cpp", "c", ("c++", "cc", "cxx", "hpp"), (
        r"^[ \t]*#include *<\w+>", r"\bstd::", r"\b(?:cout|cin) *(?:<<|>>)", r"\btemplate *<", r"\busing namespace\b",
        r"\bclass \w+ *\{", r"\b\w+::\w+\(",
    )),
    Language("c", "c", "c", ("h",), (
        r"^[ \t]*#include *[<\"]\w+\.h[>\"]", r"\b(?:printf|malloc|scanf|strcpy|gets)\(", r"\bint main\((?:void|int)?",
        r"^[ \t]*(?:static )?(?:int|void|char|float|double|struct \w+) \*?\w+\([^()\n]*\)", r"\bchar \*?\w+\[",
    )),
    Language("go", "go", "c", ("golang",), (
        r"^[ \t]*package \w+\s*$", r"\bfunc (?:\(\w+ \*?\w+\) )?\w+\(", r":=", r"\bfmt\.\w+\(", r"\bif err != nil\b",
    )),
    Language("rust", "rs", "c", ("rs",), (
        r"\bfn \w+(?:<[^>\n]*>)?\(", r"\blet mut\b", r"\b(?:println|vec|format|panic)!", r"\bimpl\b[^\n{]{0,200}\{", r"\bpub fn\b",
        r"&(?:mut |str\b|self\b)",
    )),
    Language("ruby", "rb", "hash", ("rb",), (
        r"^[ \t]*def [\w?!.]+(?:\([^()\n]*\))?\s*$", r"^[ \t]*end\s*$", r"\bputs\b", r"\bdo \|", r"^[ \t]*require '", r"\battr_accessor\b",
    )),
    Language("php", "php", "php", (), (r"<\?php", r"\$\w+ *=", r"\becho\b", r"\$this->", r"\bfunction \w+\(\$")),
    Language("swift", "swift", "c", (), (
        r"\bfunc \w+\([^()\n]*\)(?: throws)?(?: *->|\s*\{)", r"\bguard (?:let|var)?\b", r"\bif let\b",
        r"^[ \t]*import (?:Foundation|UIKit|SwiftUI)", r"\b(?:let|var) \w+: *[A-Z]",
    )),
    Language("kotlin", "kt", "c", ("kt", "kts"), (
        r"\bfun \w+\(", r"\bval \w+", r"\bprintln\(", r"\bdata class\b", r"\bwhen *\(", r"\?\.|!!",
    )),
    Language("scala", "scala", "c", (), (r"^[ \t]*object \w+", r"\bdef \w+(?:\([^()\n]*\))?(?:: *\w+)? *=", r"\bcase class\b", r"\bval \w+")),
    Language("lua", "lua", "lua", (), (r"\blocal (?:function )?\w+", r"\bthen\s*$", r"^[ \t]*end\s*$", r"\.\. ", r"^[ \t]*function \w+\([^()\n]*\)\s*$")),
    Language("perl", "pl", "hash", ("pl",), (r"^[ \t]*use strict", r"\bmy [$@%]\w+", r"^[ \t]*sub \w+ *\{")),
    Language("objectivec", "m", "c", ("objective-c", "objc"), (r"^[ \t]*#import", r"@interface\b|@implementation\b", r"\[\w+ \w+\]")),
    Language("r", "r", "hash", (), (r"\b\w+ *<- *function\(", r"<- ", r"\blibrary\(\w+\)")),
)  # fmt: skip

LANGUAGES = {language.name: language for language in _ALL}
_BY_ALIAS = {alias: language for language in _ALL for alias in (language.name, *language.aliases)}
_HINTS = [(language, [re.compile(hint, re.MULTILINE) for hint in language.hints]) for language in _ALL]
_SAMPLE_CHARS = 20_000

# Each alternative ends at the end of the text if it is never closed, so the scan stays linear.
_COMMENTS = r"//[^\n]*|/\*(?:.*?\*/|.*\Z)"
_DOUBLE, _SINGLE = r"\"(?:\\.|[^\"\\\n])*+\"?", r"'(?:\\.|[^'\\\n])*+'?"
_CHARACTER = r"'(?:\\[^\n][^'\n]{0,8}|[^'\\\n])'"
_BACKTICK = r"`(?:\\.|[^`\\])*+`?"
_TRIPLE = r"\"\"\"(?:.*?\"\"\"|.*\Z)|\'\'\'(?:.*?\'\'\'|.*\Z)"
_HIDDEN = {
    family: re.compile("|".join(parts), re.DOTALL)
    for family, parts in {
        "c": (_COMMENTS, _TRIPLE, _DOUBLE, _CHARACTER, _BACKTICK),
        "js": (_COMMENTS, _DOUBLE, _SINGLE, _BACKTICK),
        "php": (_COMMENTS, r"#[^\n]*", _DOUBLE, _SINGLE),
        "hash": (_TRIPLE, r"#[^\n]*", _DOUBLE, _SINGLE),
        "lua": (r"--\[\[(?:.*?\]\]|.*\Z)|--[^\n]*", _DOUBLE, _SINGLE),
    }.items()
}
_COMMENT_STARTS = ("//", "/*", "#", "--")


def find_language(name: str) -> Language | None:
    """Return the language of a name or an abbreviation such as `js`."""
    return _BY_ALIAS.get(name.strip().lower())


def guess_language(code: str) -> Language | None:
    """Return the language whose marks the code shows most of; None where two show as many, or none any."""
    sample = code[:_SAMPLE_CHARS]
    scores = [(sum(bool(hint.search(sample)) for hint in hints), language) for language, hints in _HINTS]
    best = max(score for score, _ in scores)
    winners = [language for score, language in scores if score == best]
    if best and {"javascript", "typescript"} == {language.name for language in winners}:
        return LANGUAGES["typescript"]  # every mark of JavaScript is one of TypeScript too
    if best and {"c", "cpp"} == {language.name for language in winners}:
        return LANGUAGES["c"]
    return winners[0] if best and len(winners) == 1 else None


def mask(code: str, language: Language) -> tuple[str, list[tuple[int, str]]]:
    """Return the code with comments and the insides of strings blanked, and the comments with their offsets.

    The result has the length and the lines of the code, so offsets and line numbers stay true.
    """
    comments: list[tuple[int, str]] = []

    def blank(found: re.Match[str]) -> str:
        text = found[0]
        if text.startswith(_COMMENT_STARTS):
            comments.append((found.start(), text))
            return _spaces(text)
        return text[0] + _spaces(text[1:-1]) + text[-1] if len(text) > 1 else text

    return _HIDDEN[language.family].sub(blank, code), comments


_NOT_SPACE = re.compile(r"[^\n]")


def _spaces(text: str) -> str:
    return _NOT_SPACE.sub(" ", text)
