"""A real LDAP server to test against: Debian's slapd on a free port with a directory of its own, gone at the end."""

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOW = "needs an LDAP server and its library: apt install slapd libldap-dev libsasl2-dev, then pip install 'rollbook[ldap]'"
ADMIN = "cn=admin,dc=example,dc=com"
BASE = "ou=people,dc=example,dc=com"

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
{modules}
pidfile {folder}/slapd.pid
database mdb
maxsize 104857600
suffix "dc=example,dc=com"
rootdn "{admin}"
rootpw secret
directory {folder}/data
index objectClass eq
index entryUUID,entryCSN eq
sizelimit size.soft=500 size.hard=soft size.pr=unlimited size.prtotal=unlimited
{overlay}
"""
SYNCPROV = Path("/usr/lib/ldap/syncprov.so")
"""The overlay that tells changes."""
_OVERLAY = "overlay syncprov\nsyncprov-checkpoint 100 10\n"


@dataclass(frozen=True)
class Slapd:
    """A running server."""

    url: str

    def change(self, uid: str, mail: str | None) -> None:
        """Give somebody another mail address, or remove them: None."""
        import ldap

        connection = self._connected()
        dn = f"uid={uid},{BASE}"
        if mail is None:
            connection.delete_s(dn)
        else:
            connection.modify_s(dn, [(ldap.MOD_REPLACE, "mail", [mail.encode()])])
        connection.unbind_s()

    def _connected(self) -> Any:
        import ldap

        connection = ldap.initialize(self.url)
        connection.simple_bind_s(ADMIN, "secret")
        return connection

    def fill(self, people: Sequence[dict[str, str]], *, clear: bool = True) -> None:
        """Make exactly these people: `id` is the uid, `name` the cn, `mail` the mail; without `clear`, beside those there are."""
        connection = self._connected()
        if clear:
            self._clear(connection)
        self._add(connection, people)
        connection.unbind_s()

    def _clear(self, connection: Any) -> None:
        import ldap

        for dn, _ in connection.search_s("dc=example,dc=com", ldap.SCOPE_SUBTREE, "(uid=*)", ["1.1"]):
            connection.delete_s(dn)

    def _add(self, connection: Any, people: Sequence[dict[str, str]]) -> None:
        import ldap.modlist

        for one in people:
            entry = {
                "objectClass": [b"inetOrgPerson"],
                "uid": [one["id"].encode()],
                "cn": [one["name"].encode()],
                "sn": [b"x"],
            }
            if "mail" in one:
                entry["mail"] = [mail.encode() for mail in one["mail"].split("\n")]
            connection.add_s(f"uid={one['id']},{BASE}", ldap.modlist.addModlist(entry))


def is_there() -> bool:
    """Whether this machine has a server and the library to speak to it."""
    return importlib.util.find_spec("ldap") is not None and os.access(_program(), os.X_OK)


def _program() -> str:
    return shutil.which("slapd") or "/usr/sbin/slapd"


@contextmanager
def slapd(folder: Path, sync: str | None = None) -> Iterator[Slapd]:
    """A server with an empty directory of people; `is_there` tells whether there can be one.

    `sync` is the configuration of the overlay that tells changes, if there is to be one: empty, or `syncprov-sessionlog 100`.
    """
    program = _program()
    (folder / "data").mkdir()
    overlay = "" if sync is None else f"{_OVERLAY}{sync}"
    modules = "" if sync is None else "moduleload syncprov"
    config = _CONFIG.format(folder=folder, admin=ADMIN, modules=modules, overlay=overlay)
    (folder / "slapd.conf").write_text(config, "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"ldap://127.0.0.1:{port}"
    process = subprocess.Popen(  # noqa: S603 - the server of this machine
        [program, "-f", str(folder / "slapd.conf"), "-h", url, "-d", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(url)
        yield Slapd(url)
    finally:
        process.terminate()
        process.wait(10)


def _wait(url: str) -> None:
    import ldap
    import ldap.modlist

    for _ in range(200):
        try:
            connection = ldap.initialize(url)
            connection.simple_bind_s(ADMIN, "secret")
            break
        except ldap.SERVER_DOWN:
            time.sleep(0.05)
    top = {"objectClass": [b"dcObject", b"organization"], "dc": [b"example"], "o": [b"Example"]}
    connection.add_s("dc=example,dc=com", ldap.modlist.addModlist(top))
    connection.add_s(
        BASE, ldap.modlist.addModlist({"objectClass": [b"organizationalUnit"], "ou": [b"people"]})
    )
    connection.unbind_s()
