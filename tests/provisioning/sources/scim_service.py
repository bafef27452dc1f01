"""A SCIM service that has more than the scripted one: cursors, and users by when they were changed."""

import re
from typing import Any

from rollbook.protocol import urns
from rollbook.protocol.compare import parse_date_time, render_date_time
from rollbook.protocol.values import JsonObject
from rollbook.testing.scripted_target import Answer, Profile, Recorded, ScriptedTarget

_LATER = re.compile(r'meta\.lastModified gt "(?P<moment>[^"]+)"')


class Service(ScriptedTarget):
    """By cursor if it has them, else by index. Its clock is a number that grows by a second with each change."""

    def __init__(self, profile: Profile, *, cursors: bool) -> None:
        super().__init__(profile)
        self.cursors = cursors
        self.milliseconds = 1_800_000_000_000

    def touch(self, document: JsonObject) -> JsonObject:
        """The document, changed now."""
        self.milliseconds += 1_000
        return {**document, "meta": {"lastModified": render_date_time(self.milliseconds)}}

    def _configuration(self) -> Answer:
        told = super()._configuration()
        return Answer(200, {**told.body, "pagination": {"cursor": self.cursors, "index": True}})

    def _list(self, endpoint: str, request: Recorded) -> Answer:
        found = list(self.resources[endpoint].values())
        later = _LATER.search(request.query.get("filter", ""))
        if later is not None:
            moment = parse_date_time(later["moment"])
            found = [one for one in found if parse_date_time(one["meta"]["lastModified"]) > moment]
        cursor = request.query.get("cursor")
        start = int(cursor or 0) if cursor is not None else int(request.query.get("startIndex", 1)) - 1
        end = start + min(int(request.query.get("count", 100)), self.profile.page_limit)
        body: dict[str, Any] = {"schemas": [urns.LIST_RESPONSE], "totalResults": len(found)}
        body["Resources"] = found[start:end]
        if cursor is None:
            body["startIndex"] = start + 1
        elif end < len(found):
            body["nextCursor"] = str(end)
        return Answer(200, body)
