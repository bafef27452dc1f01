"""A target's profile and rate limits, and whether its mapping is what such a target takes."""

from collections.abc import Mapping
from typing import Any

from rollbook.provisioning import model
from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.names import suggest
from rollbook.provisioning.profile import NO_PROFILE, Profile, Rate, names, profile_named, rate_of
from rollbook.provisioning.schedule import Unreadable


class ProfileReader:
    """Reads them, and reports what such a target would refuse."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def profile(self, place: Place, raw: Mapping[str, Any]) -> Profile:
        """The profile that is named."""
        name = raw.get("profile")
        if not isinstance(name, str):
            return NO_PROFILE
        try:
            return profile_named(name)
        except KeyError:
            near = suggest(name, names())
            note = f"did you mean: {near}" if near else f"there are: {', '.join(names())}"
            mark = self._document.value((*place, "profile"))
            self._document.report("RB116", f"there is no profile {name}", mark, "", note)
            return NO_PROFILE

    def rate(self, place: Place, raw: Any) -> tuple[Rate, ...]:
        """Rate limits of the target's own."""
        found = []
        for index, item in enumerate(raw if isinstance(raw, list) else ()):
            try:
                found.append(rate_of(item))
            except Unreadable as error:
                self._document.report("RB105", str(error), self._document.value((*place, index, "per")))
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # the shape says what is wrong
        return tuple(found)

    def check(
        self, place: Place, raw: Mapping[str, Any], profile: Profile, users: model.ObjectMapping
    ) -> None:
        """Report attributes that the target demands and does not get, or refuses and would get."""
        mapped = {one.path.text for one in users.assignments}
        tops = {name.partition(".")[0] for name in mapped}
        where = self._document.key((*place, "users"))
        for name in profile.required:
            if name not in mapped and name not in tops:
                text = f"{profile.title} demands {name}, which has no rule"
                self._document.report("RB117", text, where, f"add {name} under users")
        for name in profile.forbidden:
            if name in tops:
                mark = self._document.key((*place, "users", name))
                self._document.report("RB117", f"{profile.title} refuses {name}", mark, "take it out")
        if not profile.groups and isinstance(raw.get("groups"), dict):
            mark = self._document.key((*place, "groups"))
            self._document.report("RB117", f"{profile.title} has no groups", mark, "take them out")
