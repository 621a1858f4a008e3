"""A SKILL.md is read by the specification, and what is wrong with it is said with its line."""

from callboard.agent.skill_folders.document import Document, read_document

HEAD = "name: pdf\ndescription: Reads.\n"


def read(head: str, body: str = "Do it.\n", name: str = "pdf") -> tuple[Document | None, list[str]]:
    document, findings = read_document(f"---\n{head}---\n{body}", name)
    return document, [f"{finding.level} {finding}" for finding in findings]


def errors(head: str, body: str = "Do it.\n", name: str = "pdf") -> list[str]:
    """Return the errors of a document that has some."""
    document, findings = read(head, body, name)
    assert document is None
    return [finding.removeprefix("error ") for finding in findings if finding.startswith("error")]


def test_the_least_that_a_document_needs() -> None:
    assert read(HEAD) == (Document(name="pdf", description="Reads."), [])


def test_every_field_of_the_specification() -> None:
    head = (
        HEAD + "license: MIT\ncompatibility: Needs git.\nmetadata:\n  version: 1.10\n  on: yes\nallowed-tools: Read\n"
    )
    document, findings = read(head)
    assert findings == []
    assert document is not None
    assert (document.license, document.compatibility) == ("MIT", "Needs git.")
    assert document.metadata == {"version": "1.10", "on": "yes"}  # as they stand there, not as YAML has them
    assert document.allowed is not None
    assert document.allowed.skills == {"read-file"}


def test_a_description_over_several_lines_is_one() -> None:
    document, _ = read("name: pdf\ndescription: >-\n  Reads\n  and writes.\n\n  Use it.\n")
    assert document is not None
    assert document.description == "Reads and writes. Use it."


def test_three_hyphens_within_a_line_do_not_end_the_front_matter() -> None:
    document, findings = read("name: pdf\ndescription: Reads --- and --- writes.\n")
    assert findings == []
    assert document is not None
    assert document.description == "Reads --- and --- writes."


def test_windows_line_ends_are_line_ends() -> None:
    document, findings = read_document(f"---\n{HEAD}---\nDo it.\n".replace("\n", "\r\n"), "pdf")
    assert (document, findings) == (Document(name="pdf", description="Reads."), [])


def test_what_must_be_there() -> None:
    assert errors("license: MIT\n") == ["line 1: `name` is missing", "line 1: `description` is missing"]
    assert errors("name:\ndescription: '  '\n") == ["line 2: `name` is empty", "line 3: `description` is empty"]
    assert errors("name: [pdf]\ndescription: {a: b}\n") == [
        "line 2: `name` is no text",
        "line 3: `description` is no text",
    ]


def test_names_that_the_specification_does_not_have() -> None:
    for name in ("PDF", "-pdf", "pdf-", "pdf--forms", "pdf_forms", "pdf forms", "pdf/forms", "größe"):
        [error] = errors(f"name: '{name}'\ndescription: Reads.\n", name=name)
        assert error == f"line 2: the name {name!r} must be a-z, 0-9 and single hyphens, none at its ends"
    [error] = errors("name: other\ndescription: Reads.\n")
    assert error == "line 2: the name 'other' must be that of its folder, 'pdf'"


def test_lengths() -> None:
    assert read(f"name: {'a' * 64}\ndescription: {'b' * 1024}\ncompatibility: {'c' * 500}\n", name="a" * 64)[1] == []
    assert errors(f"name: {'a' * 65}\ndescription: {'b' * 1025}\ncompatibility: {'c' * 501}\n", name="a" * 65) == [
        "line 2: `name` has 65 characters, 64 are the most; shorten it",
        "line 3: `description` has 1,025 characters, 1,024 are the most; shorten it",
        "line 4: `compatibility` has 501 characters, 500 are the most; shorten it",
    ]
    assert errors(HEAD + "compatibility: ''\n") == ["line 4: `compatibility` is empty"]


def test_metadata_is_a_map_of_texts() -> None:
    assert errors(HEAD + "metadata: [a]\n") == ["line 4: `metadata` is no map of texts"]
    document, findings = read(HEAD + 'metadata: {version: "2", requires: {bins: [node]}}\n')
    assert document is not None
    assert document.metadata == {"version": "2"}
    assert findings == ["note line 4: `metadata` holds more than texts: `requires`; not read"]


def test_keys_of_other_agents_are_notes() -> None:
    document, findings = read(HEAD + "argument-hint: <file>\nmodel: large\n")
    assert document is not None
    assert findings == [
        "note line 4: `argument-hint` is no key of the specification; not read",
        "note line 5: `model` is no key of the specification; not read",
    ]


def test_a_document_without_instructions_is_a_note() -> None:
    document, findings = read(HEAD, body="\n \n")
    assert document is not None
    assert findings == ["note it has no instructions behind its front matter"]


def test_front_matter_that_is_none() -> None:
    for text in ("", "# Forms\n", "name: pdf\n", " ---\nname: pdf\n---\n", "----\n"):
        [finding] = read_document(text, "pdf")[1]
        assert str(finding) == "line 1: it does not begin with front matter: the first line must be ---"
    [finding] = read_document(f"---\n{HEAD}", "pdf")[1]
    assert str(finding) == "line 1: its front matter does not end; put a line --- behind it"
    [finding] = read_document("---\n" + "# x\n" * 20_000 + "---\n", "pdf")[1]
    assert "does not end within 32,768 characters" in str(finding)
    for head in ("", "- a\n", "just words\n", "# only a comment\n"):
        assert errors(head) == ["line 2: its front matter is no list of `key: value` lines"]
    assert errors("{}\n") == ["line 2: its front matter is empty"]


def test_yaml_that_cannot_be_read_says_where_and_what_to_do() -> None:
    [error] = errors("name: pdf\ndescription: Use it when: always.\n")
    assert error.startswith("line 3: its YAML cannot be read: mapping values are not allowed")
    assert error.endswith("; put a text with a colon in it in quotes")
    for head in ("name: [pdf\n", "name: 'pdf\n", "name: pdf\n\tdescription: x\n", "name: \x07\n", "name: @x\n", "%\n"):
        [error] = errors(head)
        assert "its YAML cannot be read" in error, head


def test_a_key_counts_once() -> None:
    assert errors(HEAD + "allowed-tools: Read\nallowed-tools: Write\n") == [
        "line 5: `allowed-tools` stands there twice, first on line 4"
    ]
    assert errors(HEAD + "? [a, b]\n: c\n") == ["line 4: a key of the front matter is no text"]


def test_nothing_behind_the_map_is_overlooked() -> None:
    """What stands in a second document may be what restricts the skill."""
    for end in ("--- # more", "..."):
        [error] = errors(f"{HEAD}{end}\nallowed-tools: Read\n")
        assert "its YAML cannot be read" in error


def test_hostile_yaml_is_an_error_and_no_more() -> None:
    for bomb in ("name: " + "[" * 30_000, "name: " + "{a: " * 7_000, "? " * 15_000, "name:\n " + "- " * 15_000):
        [error] = errors(bomb + "\n")
        assert error.endswith("its YAML is nested deeper than 10 levels")
    [error] = errors("a: &a [x]\n" + "".join(f"b{n}: [*a, *a]\n" for n in range(50)) + HEAD)
    assert error == "line 3: its YAML cannot be read: aliases are not read; write the value out"
    assert "no list of" in errors("!!python/object/apply:os.system ['true']\n")[0]
    document, _ = read(HEAD + "license: !!python/name:os.system MIT\n")
    assert document is not None
    assert document.license == "MIT"


def test_the_cases_of_the_reference_library() -> None:
    """As `skills-ref` 0.1.1 judges them, but for letters beyond a-z, which its code takes and the specification not."""
    assert read("name: my-skill\ndescription: x\n", name="my-skill")[0]
    assert read("name: skill-2\ndescription: x\n", name="skill-2")[0]
    assert read("name: 123\ndescription: 456\n", name="123")[0]
    for head, name in (
        ("name: MySkill\ndescription: x\n", "MySkill"),
        ("name: my_skill\ndescription: x\n", "my_skill"),
        ("name: right\ndescription: x\n", "wrong"),
        ("description: x\n", "pdf"),
        ("name: pdf\n", "pdf"),
    ):
        assert errors(head, name=name)
