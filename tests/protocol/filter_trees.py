"""Hypothesis strategies: filter trees, and texts that look like filters."""

from hypothesis import strategies as st

from rollbook.protocol.filters import And, Compare, Filter, Name, Not, Operator, Or, Present, Select

_LOCAL = st.from_regex(r"\$?[A-Za-z][A-Za-z0-9_$-]{0,6}", fullmatch=True).filter(
    lambda name: name.lower() != "not"
)
_URN = st.from_regex(r"urn:[a-z0-9]{1,5}(:[a-zA-Z0-9.]{1,4}){0,2}", fullmatch=True)
_QUALIFIED = st.one_of(_LOCAL, st.builds("{}:{}".format, _URN, _LOCAL))
_DOTTED = st.one_of(_QUALIFIED, st.builds("{}.{}".format, _QUALIFIED, _LOCAL))
LITERALS = st.one_of(
    st.text(max_size=8),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)


def tests(names: st.SearchStrategy[str]) -> st.SearchStrategy[Filter]:
    """Single tests on these names."""
    name = names.map(Name)
    return st.one_of(st.builds(Present, name), st.builds(Compare, name, st.sampled_from(Operator), LITERALS))


def trees(leaves: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    """Trees of and, or and not over these leaves."""

    def joined(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        several = st.lists(parts, min_size=2, max_size=3).map(tuple)
        return st.one_of(st.builds(Not, parts), st.builds(And, several), st.builds(Or, several))

    return st.recursive(leaves, joined, max_leaves=8)


FILTERS: st.SearchStrategy[Filter] = trees(
    st.one_of(tests(_DOTTED), st.builds(Select, _QUALIFIED.map(Name), trees(tests(_LOCAL))))
)
"""Every shape of tree that the grammar has."""

SOUP: st.SearchStrategy[str] = st.lists(
    st.sampled_from(
        ["userName", "emails", "emails.type", "name", "active", "meta.created", "manager", "password", "x", "type",
         "value", "eq", "ne", "co", "gt", "pr", "and", "or", "not", "(", ")", "[", "]", ".value", '"work"', '""',
         '"2024-01-01T00:00:00Z"', "true", "null", "True", "12", "-1.5e3", "word", "'q'", '"', "'", "\\", "\t",
         "urn:ietf:params:scim:schemas:core:2.0:User:", "(title pr)", 'emails[type eq "work"]', "title pr"]
    ).flatmap(lambda token: st.sampled_from([token, token + " ", " " + token + " "])),
    max_size=14,
).map("".join)  # fmt: skip
"""Texts made of what filters are made of, most of them wrong."""
