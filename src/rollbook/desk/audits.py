"""Accounts are compared with what they should be, and what was found different is told."""

from collections.abc import AsyncIterator, Iterable

from rollbook.desk.desk import Desk
from rollbook.desk.reports import PlanWatch
from rollbook.provisioning import model
from rollbook.provisioning.audit import AuditOrder, AuditReport, audit_target
from rollbook.provisioning.preview import Preview
from rollbook.provisioning.targets.scim import connect
from rollbook.storage.audits import Drifted

_PAGE = 500


async def audit(
    desk: Desk, names: Iterable[str], watch: PlanWatch, *, fix: bool = False
) -> list[AuditReport]:
    """Every account of targets against what it should be, whatever they are believed to hold.

    What is to be overwritten, with `fix` all that differs, is due afterwards.
    """
    policy = model.DriftPolicy(model.Drift.OVERWRITE) if fix else None
    reports = []
    for target in desk.targets(names):
        watch.target(target)
        order = AuditOrder(desk.now() + 1, policy, at_any_hour=True, watch=watch.item)
        try:
            report = await audit_target(desk.engine, target, connect, order)
            reason = "somebody else is at an audit of it"
        except ValueError as error:
            report, reason = None, str(error)
        reports.append(report or AuditReport(target.name, Preview(target.name, stopped=reason)))
    return reports


async def drift(desk: Desk, names: Iterable[str]) -> AsyncIterator[tuple[str, Drifted]]:
    """What audits have found different at targets and left as it is."""
    home = desk.store.home
    for target in desk.targets(names):
        progress, after = await desk.links.target(home, target.name), 0
        while progress and (page := await desk.links.drift(home, progress.number, after, _PAGE)):
            after = page[-1].key
            for one in page:
                yield target.name, one
