"""PATCH as a whole: order, all or nothing, the final state, secrets, limits."""

import contextlib
import copy

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from tests.protocol.written import (
    ENTERPRISE,
    EXTRA_URN,
    GADGET,
    GROUP,
    LEAST,
    OWNER_URN,
    USER,
    after,
    document_of,
    message,
    operation,
    patched,
)

from rollbook.protocol.attributes import Mutability as AttributeMutability
from rollbook.protocol.errors import InvalidValue, Mutability, NoTarget, RequestError, TooMany
from rollbook.protocol.patch import apply, has_secrets, map_secrets, parse_patch
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.resource import Change, Present
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject

ANN = {**LEAST["User"], "emails": [{"value": "a@x", "type": "work", "primary": True}]}


def test_p_3_5_2_13_operations_run_in_order() -> None:
    """P-3.5.2-13: each operation sees what the ones before it did."""
    sent = (
        operation("add", "emails", value=[{"value": "b@x", "type": "home"}]),
        operation("replace", 'emails[type eq "home"].value', value="c@x"),
        operation("remove", 'emails[type eq "work"]'),
    )
    assert after(ANN, *sent)["emails"] == [{"value": "c@x", "type": "home"}]


def test_p_3_5_2_14_a_refused_patch_leaves_everything() -> None:
    """P-3.5.2-14: the second of three operations fails; nothing that was handed in has changed."""
    present = Present(copy.deepcopy(ANN))
    sent = (
        operation("replace", "userName", value="b"),
        operation("replace", 'emails[type eq "home"]', value={"value": "x"}),
        operation("remove", "emails"),
    )
    with pytest.raises(NoTarget):
        apply(parse_patch(message(*sent), USER, Leniency(RFC)), present)
    assert present == Present(ANN)


def test_a_22_the_final_state_is_judged() -> None:
    """P-3.5.2-23, A-22: what is required may be missing in between."""
    sent = (operation("remove", "userName"), operation("add", "userName", value="b"))
    assert after(ANN, *sent)["userName"] == "b"
    with pytest.raises(Mutability, match="userName is required and cannot be removed"):
        patched(ANN, *sent, operation("remove", "userName"))
    sent = (operation("remove", OWNER_URN), operation("add", f"{OWNER_URN}:owner", value="b"))
    assert after(LEAST["Gadget"], *sent, resource_type=GADGET)[OWNER_URN] == {"owner": "b"}


def test_p_3_5_2_23_a_missing_value_that_nobody_removed_is_an_invalid_value() -> None:
    """P-3.5.2-23: a stored resource may lack what became required later; then the request has to set it."""
    with pytest.raises(InvalidValue, match="userName is required: set a value"):
        patched({}, operation("add", "title", value="x"))
    assert after({}, operation("add", "userName", value="x")) == {"userName": "x"}


def test_a_29_a_value_may_be_made_in_several_operations() -> None:
    """A-29, A-34: Entra sends the parts of a new value one by one, the telling one last."""
    sent = (
        operation("add", 'emails[type eq "home"].primary', value=True),
        operation("add", 'emails[type eq "home"].value', value="b@x"),
    )
    work = {"value": "a@x", "type": "work", "primary": False}
    assert after(ANN, *sent)["emails"] == [work, {"type": "home", "primary": True, "value": "b@x"}]


def test_p_3_5_2_21_the_last_primary_wins() -> None:
    """A-24, P-3.5.2-21: across operations the later one wins, within one operation two are refused."""
    sent = (
        operation("add", "emails", value=[{"value": "b@x", "primary": True}]),
        operation("add", "emails", value=[{"value": "c@x", "primary": True}]),
    )
    primary = [email["primary"] for email in after(ANN, *sent)["emails"]]
    assert primary == [False, False, True]


@pytest.mark.parametrize(
    "sent",
    [
        operation("replace", "userName", value="ann"),
        operation("remove", "title"),
        operation("add", "emails", value=ANN["emails"]),
        operation("replace", "emails", value=ANN["emails"]),
        operation("replace", 'emails[type eq "work"].value', value="a@x"),
        operation("replace", 'emails[type eq "work"].primary', value=True),
        operation("remove", 'emails[type eq "home"]'),
        operation("replace", value={"userName": "ann", "emails": ANN["emails"]}),
        operation("remove", ENTERPRISE),
    ],
)
def test_a_31_what_is_there_already_is_no_change(sent: JsonObject) -> None:
    """A-31, P-3.5.2.1-08: version and lastModified stay when nothing changes."""
    change = patched(ANN, sent)
    assert change == Change()
    assert change.is_empty


def test_a_patch_may_be_applied_again() -> None:
    """The store may run it several times: each time the same, and nothing handed in is touched."""
    patch = parse_patch(
        message(
            operation("add", "emails", value=[{"value": "b@x", "primary": True}]),
            operation("add", ENTERPRISE, value={"department": "x"}),
        ),
        USER,
        Leniency(AUTO),
    )
    before = copy.deepcopy(patch)
    assert apply(patch, Present(ANN)) == apply(patch, Present(ANN))
    assert patch == before


def test_p_7_10_secrets_are_mapped_in_every_step() -> None:
    """P-7-10: by path, by key and by full name; what is not the password is left alone."""
    patch = parse_patch(
        message(
            operation("replace", "password", value="one"),
            operation("replace", value={"password": "two", "title": "three"}),
        ),
        USER,
        Leniency(RFC),
    )
    mapped = map_secrets(patch, str.upper)
    assert [step.value for step in mapped.steps] == ["ONE", "TWO", "three"]
    assert apply(mapped, Present(ANN)).document == {**ANN, "password": "TWO", "title": "three"}


def test_a_68_a_patch_tells_whether_it_touches_the_secret() -> None:
    """A-68: setting and removing the password count, other attributes and other types do not."""
    for sent, touches in (
        (operation("replace", "password", value="x"), True),
        (operation("add", value={"PASSWORD": "x"}), True),
        (operation("remove", "password"), True),
        (operation("replace", "title", value="x"), False),
    ):
        assert has_secrets(parse_patch(message(sent), USER, Leniency(RFC))) is touches
    removed = parse_patch(message(operation("remove", "password")), USER, Leniency(RFC))
    assert map_secrets(removed, str.upper) == removed
    group = parse_patch(message(operation("replace", "displayName", value="x")), GROUP, Leniency(RFC))
    assert has_secrets(group) is False


def test_t_53_the_work_of_a_patch_is_limited() -> None:
    """T-53: many operations on many values are 400/tooMany before they cost seconds."""
    document = {**LEAST["User"], "roles": [{"value": str(n)} for n in range(2_000)]}
    sent = [operation("replace", f'roles[value eq "{n}"].type', value="x") for n in range(5_000)]
    with pytest.raises(TooMany, match="look at too many values"):
        patched(document, *sent, profile=AUTO)


def test_a_57_values_of_an_attribute_are_limited() -> None:
    """A-57: an attribute cannot be filled beyond its limit by several requests."""
    document = {**LEAST["User"], "roles": [{"value": str(n)} for n in range(10_000)]}
    with pytest.raises(InvalidValue, match="roles: 10001 values are too many"):
        patched(document, operation("add", "roles", value=[{"value": "x"}]))
    assert patched(document, operation("add", "roles", value=[{"value": "7"}])).is_empty


def test_values_of_another_type_than_the_schema_has_now_do_no_harm() -> None:
    """A value stored before its attribute changed type is kept, and equal to its copies only."""
    document = {**LEAST["Gadget"], "marks": ["old", 1]}
    assert after(document, operation("add", "marks", value=[2, 1]), resource_type=GADGET)["marks"] == [
        "old",
        1,
        2,
    ]


_TEXT = st.sampled_from(["a", "A", "b", "c"])
_PORT: st.SearchStrategy[JsonObject] = st.fixed_dictionaries(
    {"value": _TEXT}, optional={"type": _TEXT, "speed": st.integers(0, 2), "primary": st.booleans()}
)


def _has_one_primary(ports: list[JsonObject]) -> bool:
    return len([port for port in ports if port.get("primary")]) < 2


_PORTS = st.lists(_PORT, max_size=3).filter(_has_one_primary)
_DOCUMENTS = st.fixed_dictionaries(
    {"label": _TEXT},
    optional={
        "code": _TEXT,
        "tags": st.lists(_TEXT, max_size=3),
        "ports": _PORTS,
        "box": st.fixed_dictionaries(
            {"kind": _TEXT}, optional={"depth": st.integers(0, 3), "notes": st.lists(_TEXT)}
        ),
        EXTRA_URN: st.fixed_dictionaries({"colour": _TEXT}, optional={"size": st.integers(0, 2)}),
    },
).map(lambda sent: document_of(GADGET, sent))
_SETTING = st.sampled_from(["add", "replace"])
_SELECTED = st.sampled_from(['ports[value eq "a"]', 'ports[type eq "b"]', "ports[speed gt 0]"])
_OPERATIONS = st.one_of(
    st.builds(lambda op, value: operation(op, "code", value=value), _SETTING, _TEXT),
    st.builds(lambda op, value: operation(op, "tags", value=value), _SETTING, st.lists(_TEXT, max_size=3)),
    st.builds(lambda op, value: operation(op, "ports", value=value), _SETTING, _PORTS),
    st.builds(lambda op, value: operation(op, "box", value=value), _SETTING,
              st.fixed_dictionaries({"kind": _TEXT}, optional={"depth": st.integers(0, 3)})),
    st.builds(lambda op, value: operation(op, "box.depth", value=value), _SETTING, st.integers(0, 3)),
    st.builds(lambda op, value: operation(op, EXTRA_URN, value=value), _SETTING,
              st.fixed_dictionaries({"colour": _TEXT}, optional={"shape": _TEXT})),
    # Never 0: what "speed gt 0" selects would be selected no longer, and the second time there is no target.
    st.builds(lambda path, value: operation("add", f"{path}.speed", value=value), _SELECTED, st.integers(1, 2)),
    st.builds(lambda path: operation("remove", path),
              st.sampled_from(["code", "tags", "ports", "box", "box.notes", EXTRA_URN, 'ports[value eq "a"]', "ports[speed gt 0]",
                               'ports[type eq "b"].speed', 'tags[value eq "a"]'])),
)  # fmt: skip


@given(_DOCUMENTS, _OPERATIONS)
def test_an_operation_done_twice_is_done_once(document: JsonObject, sent: JsonObject) -> None:
    """Setting and removing are idempotent: the second time is the empty change."""
    try:
        once = after(document, sent, resource_type=GADGET)
    except RequestError:
        reject()
    assert patched(once, sent, resource_type=GADGET).is_empty


@given(_DOCUMENTS, st.lists(_OPERATIONS, max_size=4))
def test_a_patched_document_is_canonical(document: JsonObject, sent: list[JsonObject]) -> None:
    """What PATCH makes is what a body with it would make: it validates to itself."""
    try:
        result = after(document, operation("remove", "serial"), *sent, resource_type=GADGET, profile=AUTO)
    except RequestError:
        reject()
    assert document_of(GADGET, result) == result


@given(_DOCUMENTS, st.sampled_from(["add", "replace"]))
def test_a_document_replaced_by_itself_does_not_change(document: JsonObject, op: str) -> None:
    """A path-less add or replace of a document's own content is the empty change."""
    assert patched(document, operation(op, value=document), resource_type=GADGET).is_empty


READ_ONLY = [
    (resource_type, path)
    for resource_type in (USER, GROUP, GADGET)
    for whole in resource_type.paths()
    for path in (whole, *(whole._replace(sub=sub) for sub in whole.attribute.sub_attributes))
    if AttributeMutability.READ_ONLY in {path.attribute.mutability, path.leaf.mutability}
]


@pytest.mark.parametrize(
    ("resource_type", "path"), READ_ONLY, ids=[f"{row[0].name} {row[1].text}" for row in READ_ONLY]
)
def test_t_29_no_way_to_write_what_is_read_only(resource_type: ResourceType, path: AttributePath) -> None:
    """T-29: every readOnly attribute and part, by every operation, key and spelling: refused or ignored."""
    least = LEAST[resource_type.name]
    full = path.text if path.urn else f"{resource_type.schema.id}:{path.text}"
    for name in (path.text, path.text.upper(), full, full.swapcase()):
        for op in ("add", "replace", "remove"):
            with pytest.raises(RequestError):
                patched(least, operation(op, name, value="x"), resource_type=resource_type)
        for profile in (RFC, AUTO):
            for sent in ({name: "x"}, {name: ["x"]}, {name: None}):
                _changes_nothing(least, sent, resource_type, profile)


def _changes_nothing(
    least: JsonObject, sent: JsonObject, resource_type: ResourceType, profile: Profile
) -> None:
    with contextlib.suppress(RequestError):
        assert patched(
            least, operation("add", value=sent), resource_type=resource_type, profile=profile
        ).is_empty
    with contextlib.suppress(RequestError):
        assert document_of(resource_type, sent, profile) == least


def test_leniency_shows_what_a_patch_used() -> None:
    """A quirk needed only with the resource at hand is recorded like those of the message."""
    leniency = Leniency(AUTO)
    sent = operation("Replace", 'emails[type eq "home"].value', value="b@x")
    patch = parse_patch(message(sent), USER, leniency)
    assert leniency.used == {Quirk.OPERATION_CASE}
    apply(patch, Present(ANN))
    assert leniency.used == {Quirk.OPERATION_CASE, Quirk.VALUE_PATH_CREATES}
