"""`rollbook profiles`: what well-known targets can do, want and count."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer


def profiles(
    name: Annotated[str | None, typer.Argument(help="Show this one in full.", metavar="PROFILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the kinds of targets that `profile:` may name in rollbook.yaml, or show one."""
    from rollbook.provisioning.names import suggest
    from rollbook.provisioning.profile import names, profile_named
    from rollbook.settings import SettingsError

    if name is not None and name not in names():
        near = suggest(name, names())
        raise SettingsError(
            f"there is no profile {name}; "
            + (f"did you mean {near}?" if near else f"there are: {', '.join(names())}")
        )
    found = [profile_named(one) for one in ((name,) if name else names())]
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2, default=sorted))
        return
    for one in found:
        print(f"{one.name:<22} {one.title}")
        if name is not None:
            for line in _lines(asdict(one)):
                print(f"  {line}")


_SHOWN = {
    "source": "from", "lookup": "found by", "max_members": "members in a call", "max_page": "largest page",
    "required": "demands", "forbidden": "refuses", "updatable": "lets change only",
    "fixed": "never changes", "single_valued": "keeps one value of", "one_per_type": "keeps one of each type of", "clear": "a value that is gone", "delete_means": "delete means", "token_lifetime": "tokens end after",
    "unverified": "not verified",
}  # fmt: skip


def _lines(profile: dict[str, Any]) -> list[str]:
    lines = [f"{title:<18} {_text(profile[key])}" for key, title in _SHOWN.items() if profile[key]]
    for rate in profile["rate"]:
        methods = ", ".join(sorted(rate["methods"])) or "every method"
        resource = f" of a {rate['resource']}" if rate["resource"] else ""
        lines.append(f"{'rate':<18} {rate['requests']} in {rate['per'] / 1000:g} s: {methods}{resource}")
    return [*lines, *(f"{'note':<18} {note}" for note in profile["notes"])]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in value.items())
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)
