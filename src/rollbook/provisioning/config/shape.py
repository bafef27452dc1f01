"""The shape of rollbook.yaml as pydantic models: for editors (JSON Schema) and for checking structure.

Only at this edge; behind it the configuration is `model.Config`. Names and expressions are checked by
`rules`, which knows the schemas.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rollbook.protocol.values import JsonObject
from rollbook.provisioning.config.rule_shapes import Name, RuleShape, ScheduleShape, Shape
from rollbook.provisioning.config.source_shapes import (
    SOURCES,
    AnySource,
    ChangesShape,
    CsvShape,
    JoinShape,
    JoinTestShape,
    ScimChangesShape,
    SourceGroupShape,
    SqlChangesShape,
)
from rollbook.provisioning.config.target_shapes import (
    ArrivalsShape,
    BasicShape,
    BrakeShape,
    DriftShape,
    LeaveShape,
    OAuthShape,
    QuietShape,
    TargetGroupsShape,
    TargetShape,
)


class MailShape(Shape):
    """Alerts by mail."""

    to: tuple[str, ...] = Field(min_length=1, strict=False, description="Who gets them.")
    sender: str = Field("rollbook@localhost", description="From whom they are.")
    server: str = Field("localhost", description="The mail server: host, or host:port.")


class AlertsShape(Shape):
    """Who is told what needs somebody."""

    webhook: Annotated[
        str | None, Field(description="${VARIABLE}, file:/path or command:… of a URL that takes JSON.")
    ] = None
    private: Annotated[
        bool, Field(description="Whether the name of the webhook's host may lead to an inner network.")
    ] = False
    mail: Annotated[MailShape | None, Field(description="Mail: to, sender, server.")] = None


class TableFileShape(Shape):
    """A table in a CSV file with a header line."""

    file: str = Field(min_length=1, description="The file, relative to this one.")
    key: str = Field(min_length=1, description="The column that is looked in.")
    value: str = Field(min_length=1, description="The column of what is found.")
    encoding: str | None = Field(None, description="The file's encoding; UTF-8 by default.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="What separates columns.")


def _table_kind(value: Any) -> str:
    return "in_file" if isinstance(value, TableFileShape) or is_in_file(value) else "written_out"


def is_in_file(table: Any) -> bool:
    """Whether a table is said to stand in a file, rather than written out."""
    return isinstance(table, dict) and "file" in table and bool({"key", "value"} & table.keys())


Table = Annotated[
    Annotated[TableFileShape, Tag("in_file")] | Annotated[dict[str, str], Tag("written_out")],
    Discriminator(_table_kind),
]


class ConfigShape(Shape):
    """The whole of rollbook.yaml."""

    version: Literal[1] = Field(description="The version of this format.")
    sources: dict[Name, AnySource] = Field({}, description="Name → where people come from.")
    targets: dict[Name, TargetShape] = Field({}, description="Name → where accounts are kept in step.")
    tables: dict[Name, Table] = Field(
        {}, description="Name → what expressions look up: text: text, or file, key and value of a CSV file."
    )
    authority: dict[str, Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]] = Field(
        {}, description="Attribute of several sources → whose value counts, best first."
    )
    sensitive: tuple[str, ...] = Field(
        (), strict=False, description="Attributes whose values are masked in plans, logs and reports."
    )
    alerts: AlertsShape = Field(AlertsShape(), description="Who is told what needs somebody: webhook, mail.")
    keep_days: int = Field(
        90, ge=1, le=3660, description="How long what was done for each person at each target is kept."
    )


def json_schema() -> JsonObject:
    """The JSON Schema of rollbook.yaml, as editors take it."""
    schema = ConfigShape.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "rollbook.yaml",
        "description": "Sources, targets and what goes from the ones to the others.",
    }


_RULE_KEYS = tuple(field.alias or name for name, field in RuleShape.model_fields.items())
_SECTION = 2
"""Steps to a source or target by name."""
_MODELS: dict[tuple[str | int, ...], type[Shape]] = {
    (): ConfigShape,
    ("alerts",): AlertsShape,
    ("alerts", "*"): MailShape,
    ("sources", "*", "schedule"): ScheduleShape,
    ("sources", "*", "changes", "full"): ScheduleShape,
    ("targets", "*"): TargetShape,
    ("targets", "*", "groups"): TargetGroupsShape,
    ("targets", "*", "brake"): BrakeShape,
    ("targets", "*", "brake", "arrivals"): ArrivalsShape,
    ("targets", "*", "leave"): LeaveShape,
    ("targets", "*", "oauth"): OAuthShape,
    ("targets", "*", "basic"): BasicShape,
    ("targets", "*", "quiet"): QuietShape,
    ("targets", "*", "audit"): ScheduleShape,
    ("targets", "*", "drift"): DriftShape,
}
"""What may stand at a place; * is any name."""
_CHANGES: dict[str, type[Shape]] = {"sql": SqlChangesShape, "scim": ScimChangesShape}


def allowed_keys(place: tuple[str | int, ...], type_name: object = None) -> tuple[str, ...]:
    """The keys that may stand in the mapping at a place of the file; `type_name` is the type of the source it is in."""
    model = _MODELS.get(tuple("*" if index == 1 else step for index, step in enumerate(place)))
    if place[:1] == ("sources",) and len(place) == _SECTION:
        model = SOURCES.get(str(type_name), CsvShape)
    if len(place) == _SECTION + 1 and place[:1] == ("sources",) and place[2] == "changes":
        model = _CHANGES.get(str(type_name), ChangesShape)
    if len(place) == _SECTION + 2 and place[0] == "sources" and place[2] == "groups":
        model = SourceGroupShape
    if place[:1] == ("tables",) and len(place) == _SECTION:
        model = TableFileShape
    if len(place) > _SECTION + 1 and place[0] == "sources" and place[2] == "join":
        model = JoinShape if len(place) == _SECTION + 2 else JoinTestShape
    if model is None:
        return _RULE_KEYS
    return tuple(field.alias or name for name, field in model.model_fields.items())
