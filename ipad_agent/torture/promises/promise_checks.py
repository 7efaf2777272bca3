"""The promises of the agent, checked on a world that came to rest. Each violation has the name of the promise broken.

=======================  ==============================================================================================
``not-delivered``        a result or notification is still on the card, or an order still waits, after days of peace
``journal-not-empty``    something is still owed by the journal
``result-lost``          the card executed a package and the eIM never took its signed result
``outdated-result``      an eIM was first told of a result when a rollback had replaced it on the card already
``removed-early``        a result or notification left the card before anybody had taken it
``executed-twice``       the card began the same package twice
``view-wrong``           what eIMs were told of the profiles is not what the card has
``not-told``             the profiles changed without an order, and an eIM that manages the card was not told
``stranded``             no coverage, although a permitted way back or on is still there (see ``permitted_way``)
``not-manageable``       an eIM that manages the card cannot have a simple order carried out any more
``not-in-step``          the modem works with another profile than the one that is enabled on the card
``unexpected-error``     the daemon met an error nobody expected (IPA-1006)
``unhandled``            an exception went unseen through a task or a callback
``agent-ended``          the program ended by itself
``no-deadline``          the agent waited without any timer of its own
``overdue``              a step took longer than the limit at which a watchdog strikes
``betrayed``             data went to a server that is not the trusted one
=======================  ==============================================================================================
"""

from __future__ import annotations

from collections import Counter

from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim.device_records import DONE
from ipad_agent.lab.eim.orders.package_bytes import iccid_text
from ipad_agent.torture.peers.observed_eim import ObservedEim
from ipad_agent.torture.world.emulated_card_view import EmulatedCardView
from ipad_agent.torture.world.ground_truth import name_of
from ipad_agent.torture.world.torture_world import World

_ENABLE, _DISABLE, _DELETE = 0xA3, 0xA4, 0xA5


def owed(world: World) -> list[str]:
    """What is not yet as it shall be, as sentences; empty when the world is at rest."""
    state = world.card_state
    found = [f"result {result.seq} is on the card" for result in state.results]
    found += [f"notification {one.seq} is on the card" for one in state.notifications]
    if world.process is None or not world.alive:
        return [*found, "the agent does not run"]
    found += [f"the journal owes a {entry.kind}" for entry in world.process.journal.entries()]
    for observed_eim in world.associated:
        found += [f"{observed_eim.eim_id} waits for: {order.label[:60]}" for order in observed_eim.unfinished]
    return found


def connected(world: World) -> bool:
    """Whether the device can reach anybody, now that everything is well."""
    return world.serves


def permitted_way(world: World) -> str | None:
    """A way back or on that the card itself offers and that leads to coverage; None when there is none.

    Permitted is: the rollback that the last enable allowed (its ``rollbackFlag``), as long as the card still grants it;
    and the fallback mechanism, when the profile with the Fallback Attribute is served and not enabled. To enable
    another profile than these takes an eIM's order, however lost the device is.
    """
    state = world.card_state
    if world.covers(world.card.enabled_iccid):
        # Nothing is lacking but that the modem looks at the card.
        return "the enabled profile itself" if not world.serves else None
    if state.rollback is not None and world.covers(state.rollback.previous):
        return f"the rollback to {name_of(state.rollback.previous)}"
    if isinstance(state, EmulatedCardView):
        fallback = state.fallback
    else:
        fallback = next((profile for profile in state.profiles if profile.fallback_attribute), None)
    if fallback is not None and not fallback.enabled and state.enabled is not None and world.covers(fallback.iccid):
        return f"the fallback to {name_of(fallback.iccid)}"
    return None


def check(world: World, remaining: list[str]) -> None:
    """Note every broken promise; ``remaining`` is what was owed when patience ended."""
    _executions(world)
    if world.ground_truth.lost:
        listed = ", ".join(f"{what} {seq}" for seq, what in world.ground_truth.lost)
        world.note("removed-early", f"{listed} left the card and nobody had taken it")
    if not connected(world):
        way = permitted_way(world)
        if way is not None:
            world.note("stranded", f"no coverage with {name_of(world.card.enabled_iccid)}, but there is {way}")
        return
    if remaining:
        journal = [what for what in remaining if "journal" in what]
        if journal:
            world.note("journal-not-empty", "; ".join(journal))
        if len(journal) < len(remaining):
            world.note("not-delivered", "; ".join(what for what in remaining if "journal" not in what))
        return
    # A card that was left without an enabled profile on purpose is not reset by force: a modem that keeps working with
    # the last profile does the device no harm.
    if world.card.enabled_iccid is not None and world.seen != world.card.enabled_iccid:
        seen, enabled = name_of(world.seen), name_of(world.card.enabled_iccid)
        world.note("not-in-step", f"the modem works with {seen}, and the card has {enabled} enabled")
    _results(world)
    _view(world)
    if world.emulated is not None:
        _es10c(world, world.emulated)


def _executions(world: World) -> None:
    for (eim_id, transaction), count in world.ground_truth.executed.items():
        if count > 1:
            world.note("executed-twice", f"package {transaction} of {eim_id} was begun {count} times")


def _results(world: World) -> None:
    for result in world.ground_truth.results.values():
        if result.seq in world.ground_truth.replaced or result.eim_id not in world.observed_eims:
            continue
        if result.seq not in world.ground_truth.accepted_results:
            world.note("result-lost", f"{result.eim_id} never took result {result.seq} of its package {result.counter}")
    for seq in sorted(world.ground_truth.outdated):
        world.note("outdated-result", f"result {seq} was told when the card had replaced it already")


def _es10c(world: World, emulated: EmulatedCardView) -> None:
    """What the card did by ES10c against what eIMs accepted: nothing more often, and nothing that it did not do."""
    told: Counter[str] = Counter()
    deleted = set()
    for observed_eim in world.observed_eims.values():
        for order, facts in observed_eim.accepted.values():
            done = [one for one in facts.get("operations", []) if one.get("code") == 0]
            told.update(str(one.get("operation")) for one in done)
            for operation, result in zip(() if order is None else order.operations, facts["operations"], strict=False):
                if result.get("operation") == "delete" and result.get("code") == 0:
                    deleted.add(iccid_text(der.parse(operation).get(0x5A).value))
    done_by_card = Counter(name for name, _ in emulated.done)
    own = len(world.ground_truth.own_changes)
    if done_by_card["enable"] > told["enable"] + told["rollback"] + own:
        world.note(
            "executed-twice", f"the card enabled {done_by_card['enable']} times, told are {dict(told)}, own {own}"
        )
    really = {iccid for name, iccid in emulated.done if name == "delete"}
    if deleted != really:
        world.note("view-wrong", f"told deleted are {sorted(deleted)}, and the card deleted {sorted(really)}")


def _view(world: World) -> None:
    """Replay what eIMs were told, in the order of the card's numbers, and compare with the card."""
    if world.ground_truth.own_changes:
        last_s, concerned = world.ground_truth.own_changes[-1]
        for observed_eim in world.associated:
            if observed_eim.eim_id in concerned and (not observed_eim.told_at_s or observed_eim.told_at_s[-1] < last_s):
                world.note("not-told", f"{observed_eim.eim_id} was not told that the profile changed")
        return
    told = replayed(list(world.observed_eims.values()), world.ground_truth.first_enabled)
    if told != world.card.enabled_iccid:
        world.note(
            "view-wrong", f"eIMs were told of {name_of(told)}, and {name_of(world.card.enabled_iccid)} is enabled"
        )


def replayed(observed_eims: list[ObservedEim], enabled: str | None) -> str | None:
    """The enabled profile according to all accepted results."""
    before: dict[tuple[str, object], str | None] = {}
    results = sorted(
        (seq, observed_eim.eim_id, *found)
        for observed_eim in observed_eims
        for seq, found in observed_eim.accepted.items()
    )
    for _, eim_id, order, facts in results:
        key = eim_id, facts.get("counter")
        codes = facts.get("operations", [])
        if any(one.get("operation") == "rollback" and one.get("code") == 0 for one in codes):
            enabled = before.get(key, enabled)
            continue
        before[key] = enabled
        if order is None:
            continue
        for operation, result in zip(order.operations, codes, strict=False):
            node = der.parse(operation)
            if result.get("code") != 0 or node.tag not in (_ENABLE, _DISABLE):
                continue
            iccid = iccid_text(node.get(0x5A).value)
            enabled = iccid if node.tag == _ENABLE else (None if enabled == iccid else enabled)
    return enabled


def audited(observed_eim: ObservedEim, labels: set[int]) -> bool:
    """Whether the order that was given last was carried out."""
    return all(order.state == DONE for order in observed_eim.orders if id(order) in labels)
