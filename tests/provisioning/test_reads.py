"""What expressions read, found in their text."""

import pytest

from rollbook.provisioning.reads import find_reads, named_in

WORDS = ("record", "user")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("record.email", [("record", "email", False)]),
        ("lower(record.email) + record.x", [("record", "email", False), ("record", "x", False)]),
        ("user.name.givenName.size()", [("user", "name.givenName", False)]),
        ('user.?name.?middleName.orValue("")', [("user", "name.middleName", True)]),
        ("has(user.title) ? user.title : ''", [("user", "title", True), ("user", "title", False)]),
        ('record["E-Mail"]', [("record", "E-Mail", False)]),
        ("record[?'E-Mail']", [("record", "E-Mail", True)]),
        ('{"a": "b"}[?user.title]', [("user", "title", False)]),
        ('"user.a" + \'record.b\' + r"user.c"', []),
        ('"say \\"user.a\\"" + user.b', [("user", "b", False)]),
        ("user.a // user.b\n + user.c", [("user", "a", False), ("user", "c", False)]),
        ('"""user.a\nuser.b""" + user.c', [("user", "c", False)]),
        ("today > date(record.end)", [("today", "", False), ("record", "end", False)]),
        ("users.a + my.user.b + x.?user.c", []),
        ("user . name . familyName", [("user", "name.familyName", False)]),
        ('user.emails.filter(e, e.type == "work")', [("user", "emails", False)]),
        ("user", [("user", "", False)]),
    ],
)
def test_reads(text: str, expected: list[tuple[str, str, bool]]) -> None:
    """Names behind variables, not in texts, comments or behind other dots; methods are not names."""
    found = find_reads(text, WORDS)
    assert [(read.variable, read.name, read.optional) for read in found] == expected


@pytest.mark.parametrize("text", ["lower(record.email)", 'x + record["email"]', "record.?email"])
def test_a_read_knows_its_place(text: str) -> None:
    """The place is where the name stands, for the caret of an error."""
    (read,) = find_reads(text, WORDS)
    assert text[read.place : read.place + read.length] == "email"


def test_an_index_may_hold_dots() -> None:
    """In brackets a dot is only a character; behind a dot it begins a part."""
    indexed, dotted = find_reads('record["a.b"] + record.a.b', WORDS)
    assert (indexed.indexed, indexed.name) == (True, "a.b")
    assert (dotted.indexed, dotted.first) == (False, "a")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("user.name.familyName + user.title", {"name", "title"}),
        ('user["urn:a.b:User"].floor + user.?nickName.orValue("")', {"urn:a.b:User", "nickName"}),
        ("has(user.title) && today > date(record.end)", {"title"}),
        ("record.title", set()),
        ("user", None),
        ("size(user) + size(user.title)", None),
        ('user[record.column] + user["title"]', None),
        ("user.exists(name, name == user.title)", None),
        (".user.title + user.name", None),
        ("x.?user.title", None),
        ("user.`odd` + user.title", None),
        ("[1].map(user, user.title)", None),
        ('"user.a" + user.title', None),
        ("user.title // user.a", None),
    ],
)
def test_what_an_expression_can_look_at(text: str, named: set[str] | None) -> None:
    """Only what is named, and everything as soon as one mention of the variable is not a name: never too little."""
    assert named_in(text, "user", find_reads(text, WORDS)) == named


def test_long_input_takes_linear_time() -> None:
    """T-43: no pattern looks at a character many times."""
    assert len(find_reads("user" + ".a" * 50_000 + "(", WORDS)) == 1
    assert find_reads('"' + "\\" * 100_000, WORDS) == ()
    assert find_reads(" " * 100_000 + "has(" * 20_000, WORDS) == ()
