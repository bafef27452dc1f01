"""A SCIM service as a target, through `rollbook.client`: PATCH where it can, read-change-write where not."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from rollbook.client import (
    Authentication,
    Basic,
    Call,
    Capabilities,
    ClientCredentials,
    GuardedTransport,
    Limits,
    PyqwestTransport,
    ScimClient,
    ScimResource,
    Transport,
    WatchedTransport,
)
from rollbook.client.answers import member
from rollbook.client.results import is_id
from rollbook.protocol import errors
from rollbook.protocol.compare import prepare
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import lease, model
from rollbook.provisioning.differences import (
    MEMBERS_PER_CALL,
    Difference,
    member_operations,
    operations,
    replacement,
)
from rollbook.provisioning.items import NeedsPerson
from rollbook.provisioning.masking import changed_texts, is_sensitive, sensitive_texts, without_texts
from rollbook.provisioning.outgoing import Gate
from rollbook.provisioning.profile import NO_PROFILE, Profile
from rollbook.provisioning.retry import CONFLICT_ATTEMPTS
from rollbook.provisioning.wanted import Kind

_MEMBERS_PER_PUT = 100_000
_PAGE = 100  # accounts on a page, where nobody says how many it may have
_ANYTHING = 200
_NO_PATCH = (errors.MethodNotAllowed, errors.UnsupportedFeature)
_OTHER_FORM = (errors.InvalidPath, errors.NoTarget)


def connect(
    target: model.Target,
    watch: Callable[[Call], None] | None = None,
    wrap: Callable[[Transport, str], Transport] | None = None,
) -> "ScimTarget":
    """The target that a configuration describes; nothing is sent yet.

    `watch` is told of every call; `wrap` puts something around the transport of the target of that name.

    Raises:
        ValueError: its URL is not one that credentials may be sent to.
    """
    transport: Transport = _transport(target)
    if watch is not None:
        transport = WatchedTransport(transport, watch)
    if wrap is not None:
        transport = wrap(transport, target.name)
    client = ScimClient(
        target.url,
        _authentication(target),
        transport=transport,
        search_by_post=target.profile.search_by_post,
    )
    return ScimTarget(client, target.profile, target.sensitive)


def _transport(target: model.Target) -> Transport:
    limits = Limits(total=target.timeout, at_once=target.concurrency)
    access = target.access

    def make(addresses: Mapping[str, Sequence[str]]) -> Transport:
        return PyqwestTransport(
            limits,
            ca=access.ca,
            certificate=access.certificate,
            proxy=access.proxy,
            addresses=addresses,
            idle_connections=target.concurrency,
        )

    # Behind a proxy names are the proxy's to resolve.
    return make({}) if access.proxy else GuardedTransport(make, private=access.private)


def _authentication(target: model.Target) -> Authentication | str | None:
    access = target.access
    if access.grant is not None:
        return ClientCredentials(access.grant, _transport(target))
    return Basic(*access.basic) if access.basic else target.token or None


class ScimTarget:
    """One SCIM service. What it cannot do although it said so is remembered (C-2-05)."""

    def __init__(
        self, client: ScimClient, profile: Profile = NO_PROFILE, sensitive: Collection[str] = frozenset()
    ) -> None:
        """`sensitive` has the attributes whose values nobody is shown, also where the target repeats them."""
        self._client = client
        self._profile = profile
        self._sensitive = sensitive
        self._capabilities: Capabilities | None = None
        self._patches: dict[bool, bool] = {False: True, True: True}
        """Whether there is PATCH, by whether the type has members."""
        self._lost = 0
        """How many writes in a row were refused for their version."""
        self._etags_lie = False
        self.writes = 0
        """How many calls were made that could change something."""

    async def greet(self) -> None:
        """Ask for one account, as whoever looks whether it answers and takes our credentials."""
        await self._client.search("/Users", count=1, attributes=("id",))

    async def read(self, kind: Kind, remote_id: str) -> ScimResource | None:
        """The account without its members, None if the target says there is none (FE-06)."""
        excluded = [kind.resource_type.memberships] if kind.resource_type.memberships else []
        try:
            return await self._client.get(await self._endpoint(kind), remote_id, excluded_attributes=excluded)
        except errors.NotFound:
            return None

    async def read_members(self, kind: Kind, remote_id: str) -> Sequence[str]:
        """The remote ids of a group's members; none where the target never shows them."""
        if not self._profile.members_readable:
            return ()
        found = await self._client.get(await self._endpoint(kind), remote_id)
        values = member(found.body, kind.resource_type.memberships or "members")
        listed = values if isinstance(values, list) else []
        ids = (member(value, "value") for value in listed if isinstance(value, dict))
        return [str(value) for value in ids if value is not None and is_id(str(value))]

    async def find(self, kind: Kind, path: AttributePath, value: str) -> Sequence[ScimResource]:
        """The accounts with exactly that value; a target that cannot look for it has none (client.md 5)."""
        name = path.attribute.name
        _gate(kind).check_search(name)
        excluded = [kind.resource_type.memberships] if kind.resource_type.memberships else []
        try:
            with _hiding({value} if is_sensitive(path, self._sensitive) else ()):
                return await self._client.find(
                    await self._endpoint(kind),
                    {name: value},
                    exact=path.leaf.compares_exactly,
                    excluded_attributes=excluded,
                    page_size=self._profile.max_page or _PAGE,
                )
        except (errors.InvalidFilter, errors.UnsupportedFeature):
            return ()

    async def create(self, kind: Kind, body: JsonObject) -> ScimResource:
        """Make an account.

        Raises:
            NeedsPerson: the answer is somebody else's account.
        """
        _gate(kind).check_body(body)
        self._about_to_write()
        with _hiding(sensitive_texts(body, self._sensitive)):
            created = await self._client.create(await self._endpoint(kind), body)
        if _is_another(body, created.body):
            raise NeedsPerson(f"the target answered with the account of somebody else, {created.id}")
        return created

    async def update(self, kind: Kind, present: ScimResource, differences: Sequence[Difference]) -> None:
        """Take the differences away by PATCH; if the target has no PATCH, or no such path, by PUT (C-6-01)."""
        with _hiding(changed_texts(differences, self._sensitive)):
            await self._update(kind, present, differences)

    async def _update(self, kind: Kind, present: ScimResource, differences: Sequence[Difference]) -> None:
        endpoint = await self._endpoint(kind)
        has_members = kind.resource_type.memberships is not None
        if self._patches[has_members]:
            changes = operations(differences)
            _gate(kind).check_operations(changes)

            async def send(version: str | None) -> None:
                await self._client.patch(endpoint, present.id, changes, if_match=version)

            try:
                await self._onto(kind, present, send)
            except _NO_PATCH:
                if not self._profile.put:
                    raise
                self._patches[has_members] = False
            except _OTHER_FORM:
                if kind.resource_type.memberships:
                    raise  # a PUT would have to carry every member
            else:
                return
        await self._replace(kind, present.id, differences)

    async def _replace(self, kind: Kind, remote_id: str, differences: Sequence[Difference]) -> None:
        endpoint = await self._endpoint(kind)
        whole = await self._client.get(endpoint, remote_id)
        body = replacement(kind.resource_type, whole.body, differences)
        _gate(kind).check_body(body, whole.body)
        await self._put(kind, whole, body)

    async def _put(self, kind: Kind, whole: ScimResource, body: JsonObject) -> None:
        endpoint = await self._endpoint(kind)

        async def send(version: str | None) -> None:
            await self._client.replace(endpoint, whole.id, body, if_match=version)

        await self._onto(kind, whole, send)

    async def _onto(
        self, kind: Kind, present: ScimResource, send: Callable[[str | None], Awaitable[None]]
    ) -> None:
        """Write onto the version that was read, where the target has versions that work (C-6-11).

        If it refuses one that is still the present one, or one after the other, its versions are not used any more.

        Raises:
            PreconditionFailed: somebody else was quicker; the engine reads and compares anew.
        """
        version = present.version if self._uses_etags() else None
        self._about_to_write()
        try:
            await send(version)
        except errors.PreconditionFailed:
            if version is None:
                raise
            self._lost += 1
            now = await self.read(kind, present.id)
            if self._lost <= CONFLICT_ATTEMPTS and (now is None or now.version != version):
                raise
            self._etags_lie = True
            self._about_to_write()
            await send(None)
        else:
            self._lost = 0

    def _uses_etags(self) -> bool:
        announced = self._capabilities is not None and self._capabilities.etag
        return not self._etags_lie and (announced if self._profile.etags is None else self._profile.etags)

    async def members_per_call(self) -> int:
        """How many member changes to give at once."""
        await self._endpoint(None)
        if not self._patches[True]:
            return _MEMBERS_PER_PUT
        return self._profile.max_members or MEMBERS_PER_CALL

    async def change_members(
        self, kind: Kind, remote_id: str, add: Sequence[str], remove: Sequence[str]
    ) -> None:
        """Change a group's members by PATCH in value-path form, or as a whole where there is no PATCH."""
        endpoint = await self._endpoint(kind)
        if self._patches[True]:
            self._about_to_write()
            try:
                await self._client.patch(endpoint, remote_id, member_operations(add, remove))
            except _NO_PATCH:
                if not self._profile.put:
                    raise
                self._patches[True] = False
            else:
                return
        whole = await self._client.get(endpoint, remote_id)
        name = kind.resource_type.memberships or "members"
        present = member(whole.body, name)
        named = {*add, *remove}
        listed = present if isinstance(present, list) else []
        kept = [one for one in listed if isinstance(one, dict) and str(member(one, "value")) not in named]
        body = replacement(kind.resource_type, whole.body, ())
        body[name] = [*kept, *({"value": own} for own in add)]
        _gate(kind).check_body(body, whole.body)
        await self._put(kind, whole, body)

    async def delete(self, kind: Kind, present: ScimResource) -> None:
        """Remove the account in the version that was read; none being there is as good.

        Raises:
            PreconditionFailed: somebody else was quicker; the engine reads and compares anew.
            RequestError: the target says that it is done, and has it still.
        """
        endpoint, status = await self._endpoint(kind), 204

        async def send(version: str | None) -> None:
            nonlocal status
            status = await self._client.delete(endpoint, present.id, if_match=version)

        with suppress(errors.NotFound):
            await self._onto(kind, present, send)
        if status == _ANYTHING:
            await self._check_gone(kind, present.id)

    async def _check_gone(self, kind: Kind, remote_id: str) -> None:
        """Look whether an account is gone whose DELETE was answered otherwise than RFC 7644 §3.6 has it (T-66).

        Some only switch accounts off, which is as much as can be had there.
        """
        found = await self.read(kind, remote_id)
        if found is not None and member(found.body, "active") is not False:
            raise errors.RequestError(
                "the target answered 200 to DELETE, and has the account still; delete it there"
            )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.close()

    def _about_to_write(self) -> None:
        """Before each single call: some take two, and a process may be frozen between them (FE-14)."""
        lease.check()
        self.writes += 1

    async def _endpoint(self, kind: Kind | None) -> str:
        found = await self._client.discover()  # kept by the client, and read again once a day (C-2-01)
        if found is not self._capabilities:
            self._capabilities, profile = found, self._profile
            self._patches = {
                False: found.patch if profile.patch is None else profile.patch,
                True: found.patch if profile.group_patch is None else profile.group_patch,
            }
        return (
            "" if kind is None else found.endpoints.get(kind.resource_type.name, kind.resource_type.endpoint)
        )


def _is_another(wanted: JsonObject, shown: JsonObject) -> bool:
    """Whether an account that is said to be new is somebody else's (T-66).

    A target may rewrite a name. None has use for another external id, or rewrites everything.
    """
    pairs = {name: (value, member(shown, name)) for name, value in wanted.items() if isinstance(value, str)}
    ours, theirs = pairs.get("externalId", (None, None))
    if isinstance(theirs, str) and theirs != ours:
        return True
    told = [(one, other) for one, other in pairs.values() if isinstance(other, str)]
    return len(told) > 1 and all(prepare(one) != prepare(other) for one, other in told)


@contextmanager
def _hiding(texts: Iterable[str]) -> Iterator[None]:
    """Errors of what is done here say nothing of these texts, though the target may repeat what it was sent."""
    try:
        yield
    except errors.ScimError as error:
        error.detail = without_texts(error.detail, texts)
        raise


def _gate(kind: Kind) -> Gate:
    return Gate(kind.managed, members=kind.members)
