"""Shapes of what sources and targets share: rules for attributes, and schedules."""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    Tag,
    model_validator,
)

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
BASE_URL = r"^https?://[^\s@?#]+$"
LeavePolicy = Literal["disable", "delete", "keep"]
ApplyName = Literal["always", "create", "empty"]
ClearName = Annotated[
    Literal["remove", "null", "empty", "keep"] | None,
    BeforeValidator(lambda said: "null" if said is None else said),
]
"""Without quotes, null is YAML's, and means the same."""


class Shape(BaseModel):
    """What all models share: no unknown keys, no conversion of one type into another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


RULE_KINDS = ("from", "value", "expr", "unique")
"""What a rule is one of."""


class RuleShape(Shape):
    """One of from, value, expr and unique, and when it counts."""

    from_: str | None = Field(None, alias="from", min_length=1, description="Copy this column or attribute.")
    value: str | StrictBool | StrictInt | StrictFloat | None = Field(None, description="Always this value.")
    expr: str | None = Field(None, min_length=1, description="The result of this CEL expression.")
    unique: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        min_length=1,
        max_length=10,
        strict=False,
        description="In a source: CEL expressions for a name that nobody else has, best first.",
    )
    default: str | StrictBool | StrictInt | StrictFloat | None = Field(
        None, description="The value where the rule gives none."
    )
    when: str | None = Field(
        None, min_length=1, description="A CEL condition; while it is false there is no value."
    )
    apply: ApplyName = Field(
        "always", description="When it is written: always, with a new one only, or while there is no value."
    )
    clear: ClearName = Field(
        None,
        description="What is sent when the value is gone: remove, null, something empty, or nothing (keep).",
    )

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [kind]} for kind in RULE_KINDS]},
        title="Rule",
        extra="forbid",
        strict=True,
    )

    @model_validator(mode="after")
    def _one(self) -> "RuleShape":
        if len({"from_", "value", "expr", "unique"} & self.model_fields_set) != 1:
            raise ValueError("a rule is one of from, value, expr and unique")
        return self


def _is_rule(value: Any) -> bool:
    """Whether a mapping is a rule rather than parts with rules of their own."""
    return not (isinstance(value, dict) and value and all(isinstance(part, dict) for part in value.values()))


def _element_kind(value: Any) -> str:
    return "rule" if isinstance(value, RuleShape) or _is_rule(value) else "parts"


def _attribute_kind(value: Any) -> str:
    return "values" if isinstance(value, list) else "rule"


Parts = dict[str, RuleShape]
Element = Annotated[
    Annotated[RuleShape, Tag("rule")] | Annotated[Parts, Tag("parts")], Discriminator(_element_kind)
]
AttributeRule = Annotated[
    Annotated[RuleShape, Tag("rule")] | Annotated[list[Element], Tag("values")],
    Discriminator(_attribute_kind),
]
"""A rule, or a list with one rule, or one set of parts, for each value of a multi-valued attribute."""
Rules = dict[str, AttributeRule]
UNION_TAGS = frozenset(
    {
        "rule", "values", "written_out", "in_file", "parts", "limits", "off", "same", "by_reason", "by_attribute", "one", "several",
        "csv", "jsonl", "sql", "scim", "ldap", "rollbook", "webhook",
    }
)  # fmt: skip
"""Names pydantic puts into the place of an error that are not in the file."""


class ScheduleShape(Shape):
    """When something is done by a worker: one of every and cron."""

    every: str | None = Field(None, description="30s, 15m, 6h, 1d.")
    cron: str | None = Field(None, description="minute hour day month weekday: 30 6 * * 1-5.")
    zone: str = Field("UTC", description="The time zone of cron, such as Europe/Berlin.")
