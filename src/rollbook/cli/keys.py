"""`rollbook key`: the keys that seal the secrets of a database."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollbook.cli.transfer import AsJson, Database, on_store

if TYPE_CHECKING:
    from rollbook.storage.sql.store import SqlStore

app = typer.Typer(
    help="Make, show and rotate the keys that seal secrets in the database.", no_args_is_help=True
)


@app.command()
def create(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The file to make, for its owner only; without, the key is printed.", metavar="FILE"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, for ROLLBOOK_KEY_FILE or the place that keeps your secrets. Changes no database."""
    from rollbook.settings import SettingsError
    from rollbook.storage.key_files import make_file
    from rollbook.storage.keyring import new_key

    key = new_key()
    if file is not None and not make_file(file, key):
        raise SettingsError(f"{file} exists, and stays as it is; rollbook key rotate adds a key to it")
    if as_json:
        print(json.dumps({"key": key.id, "file": str(file)} if file else {"key": key.id, "text": key.text}))
    elif file is None:
        print(key.text)
    else:
        print(f"{file}: key {key.id}; keep a copy elsewhere, and name the file in ROLLBOOK_KEY_FILE")


@app.command()
def show(database: Database = None, as_json: AsJson = False) -> None:
    """Show where the keys come from, which seals, and how many secrets each has sealed; never the keys themselves.

    Ends with 1 if a key is missing.
    """

    async def look(store: "SqlStore") -> dict[str, Any]:
        from rollbook.storage.sql.secrets import by_key

        used = await store.database.read(by_key)  # before the keys: see `all_keys`
        keys = [key.id for key in store.secrets.source.present()]
        return {
            "database": store.database.name,
            "source": store.secrets.source.name,
            "seals": keys[-1] if keys else None,
            "keys": {key: used.get(key, 0) for key in keys},
            "missing": {key: number for key, number in used.items() if key not in keys},
            "in_clear": await store.secrets.are_in_clear(),
        }

    found = on_store(database, look)
    if as_json:
        print(json.dumps(found))
    else:
        print("\n".join(_lines(found)))
    if found["missing"]:
        raise typer.Exit(1)


def _lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['database']}: keys from {found['source']}"]
    for key, number in found["keys"].items():
        lines.append(f"  {key}  {number} secrets{', seals from now on' if key == found['seals'] else ''}")
    lines += [f"  {key}  {number} secrets, MISSING" for key, number in found["missing"].items()]
    if not found["keys"]:
        lines.append("  there is none yet")
    if found["in_clear"]:
        lines.append("  secrets of an earlier version stand in clear; rollbook key rotate seals them")
    elif any(number for key, number in found["keys"].items() if key != found["seals"]):
        lines.append("  rollbook key rotate seals all by the last one")
    return lines


@app.command()
def rotate(database: Database = None, as_json: AsJson = False) -> None:
    """Seal every secret by the last key; if all are already, by a new one that is added to the file of keys.

    May run beside servers, and goes on where it was ended. Tokens and cursors stay valid.
    """

    async def turn(store: "SqlStore") -> dict[str, Any]:
        from rollbook.cli.acts import act
        from rollbook.desk.telling import tell
        from rollbook.storage.sql.rotation import rotate as seal_anew

        done = await seal_anew(store.database, store.secrets)
        await tell(store, act(store, "key", "key.rotate", "key", done.key, secrets=done.secrets))
        return {**done._asdict(), "source": store.secrets.source.name}

    done = on_store(database, turn)
    if as_json:
        print(json.dumps(done))
    elif done["is_new"] or done["secrets"]:
        print(
            f"{done['secrets']} secrets are sealed by {'the new ' if done['is_new'] else ''}key {done['key']} now"
        )
        print("keep the former keys for as long as there are backups that they sealed")
    else:
        print(
            f"all secrets are sealed by key {done['key']} already; put a new one behind it: rollbook key create"
        )


@app.command()
def forget(
    key: Annotated[str, typer.Argument(help="The id of a key that is lost, as rollbook key show tells it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Give up the secrets of a key that is lost for ever: new ones are made, and every token ends. Stop servers first."""
    from rollbook.app import now
    from rollbook.settings import SettingsError

    async def give_up(store: "SqlStore") -> tuple[int, int]:
        from rollbook.cli.acts import act
        from rollbook.desk.telling import tell
        from rollbook.storage.sql.rotation import forget as lose
        from rollbook.storage.sql.secrets import by_key

        if key not in await store.database.read(by_key):
            raise SettingsError(f"no secret is sealed by a key {key[:80]}; see rollbook key show")
        if any(each.id == key for each in store.secrets.source.present()):
            raise SettingsError(f"key {key} is here ({store.secrets.source.name}), so nothing is lost")
        if not yes and not typer.confirm(f"give up what key {key} has sealed, and end every token?"):
            raise typer.Exit(1)
        given_up = await lose(store.database, key, now())
        await tell(
            store, act(store, "key", "key.forget", "key", key, secrets=given_up[0], tokens=given_up[1])
        )
        return given_up

    gone, ended = on_store(database, give_up)
    if as_json:
        print(json.dumps({"secrets": gone, "tokens": ended}))
    else:
        print(
            f"{gone} secrets are given up, {ended} tokens have ended; make new ones with: rollbook token create, rollbook client rotate"
        )
