"""The keys that seal secrets at /admin/v1: which there are, and what they have sealed; never themselves.

They are rotated by a command, on the machine that has them: it may have to write into the file of keys.
"""

from rollbook.server.admin.rows import Made, Row, Visit
from rollbook.server.admin.shapes_oauth import Key, Keys
from rollbook.storage.sql.secrets import by_key


async def show(visit: Visit) -> Made:
    """GET how things stand with them."""
    store = visit.desk.store
    present = [key.id for key in store.secrets.source.present()]
    used = await store.database.read(by_key)
    keys = [
        Key(id=each, secrets=used.get(each, 0), is_here=each in present, seals=present[-1:] == [each])
        for each in dict.fromkeys([*present, *used])
    ]
    return Made(Keys(keys=keys, in_clear=await store.secrets.are_in_clear()))


ROWS = (
    Row("GET", "/keys", "listKeys", "Keys", "List the keys that seal secrets, without themselves", show, answer=Keys, for_server=True),
)  # fmt: skip
