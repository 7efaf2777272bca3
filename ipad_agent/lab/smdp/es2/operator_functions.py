"""DownloadOrder, ConfirmOrder, ReleaseProfile and CancelOrder (SGP.22 §5.3.1 to §5.3.4), over the book of orders.

The lab has profiles of any ICCID and type in stock: what an operator asks for is made, with the metadata of a sample.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ipad_agent.lab.crypto import der
from ipad_agent.lab.smdp import es9_json
from ipad_agent.lab.smdp.download_orders import Order, OrderBook, OrderState
from ipad_agent.lab.smdp.errors import MalformedError, RefusalError, SmdpError
from ipad_agent.lab.smdp.profile.profile_metadata import Metadata, ProfilePackage, tbcd, with_notifications
from ipad_agent.lab.smdp.rsp_server import Reply
from ipad_agent.lab.smdp.status_words import HEADER_CALL, HEADER_REQUESTER, Status

LOG = logging.getLogger("ipad_agent.lab")

PATH = "/gsma/rsp2/es2plus/"
EID_MISSING = Status("8.1.1", "2.2", "the EID is missing: an SM-DS or an empty matching ID needs one")
EID_OF_ANOTHER = Status("8.1.1", "3.10", "another EID belongs to this ICCID")
ICCID_UNKNOWN = Status("8.2.1", "3.9", "the ICCID is not known")
ICCID_IN_USE = Status("8.2.1", "3.3", "the profile is not available")
ICCID_TRANSITION = Status("8.2.1", "3.5", "the profile cannot be released")
ICCID_INCOMPLETE = Status("8.2.1", "2.2", "the ICCID or finalProfileStatusIndicator is missing")
TYPE_OF_ANOTHER = Status("8.2.5", "3.8", "the profile is of another type")
MATCHING_ID_INVALID = Status("8.2.6", "2.1", "the matching ID is not valid")
MATCHING_ID_TAKEN = Status("8.2.6", "3.3", "the matching ID is in use")
MATCHING_ID_OF_ANOTHER = Status("8.2.6", "3.10", "another matching ID belongs to this ICCID")
SMDS_REFUSED = Status("8.9", "5.1", "the SM-DS is not reachable")

_EID = re.compile(r"[0-9A-Fa-f]{32}")
_MATCHING_ID = re.compile(r"[0-9A-Z-]{0,255}")
_FIRST_SERIAL = 1


class Stage(Enum):
    """How far the operator has come with a profile (SGP.22 §3.1.6)."""

    ALLOCATED = "allocated"
    LINKED = "linked"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    UNAVAILABLE = "unavailable"


@dataclass(slots=True)
class Stocked:
    """One profile that was ordered. ``order`` is there once it is confirmed; ``smds`` is where its event goes."""

    package: ProfilePackage
    profile_type: str
    stage: Stage
    eid: str | None = None
    order: Order | None = None
    smds: str | None = None


EventFunction = Callable[[str, str, str], None]
"""EID, EventID and SM-DS address: register or delete an event; ``SmdpError`` when that SM-DS is not reached."""


class OperatorFunctions:
    """``handle(function, json)`` answers one request, whatever it is. ``address`` is the SM-DP+ address that operators
    are told; ``register`` and ``delete`` are ES12."""

    def __init__(
        self,
        orders: OrderBook,
        address: Callable[[], str],
        random: Callable[[int], bytes],
        *,
        register: EventFunction | None = None,
        delete: EventFunction | None = None,
    ) -> None:
        self.orders = orders
        self.stock: dict[str, Stocked] = {}
        self.register = register
        self.delete = delete
        self._address = address
        self._random = random
        self.functions: dict[str, Callable[[Mapping[str, Any]], es9_json.Json]] = {
            "downloadOrder": self._download_order,
            "confirmOrder": self._confirm_order,
            "releaseProfile": self._release_profile,
            "cancelOrder": self._cancel_order,
        }

    def handle(self, function: str, body: object) -> Reply:
        """The answer to one request; HTTP 404 for an unknown function."""
        action = self.functions.get(function)
        if action is None:
            return Reply(404)
        try:
            if not isinstance(body, Mapping):
                raise MalformedError("the body is not a JSON object")
            _check_header(body)
            reply = Reply(200, action(body))
        except MalformedError as error:
            status = Status("1.6", "2.2" if error.missing else "2.1", str(error))
            reply = Reply(200, es9_json.failure(status))
        except RefusalError as error:
            reply = Reply(200, es9_json.failure(error.status, error.detail))
        LOG.info("ES2+: %s -> %s", function, reply.code or "done")
        return reply

    # SGP.22 §5.3.1

    def _download_order(self, body: Mapping[str, Any]) -> es9_json.Json:
        eid, iccid, kind = _eid(body), _optional(body, "iccid"), _optional(body, "profileType")
        if iccid is None and kind is None:
            raise MalformedError("neither iccid nor profileType is there", missing=True)
        iccid = self._free_iccid() if iccid is None else _iccid(iccid)
        known = self.stock.get(iccid)
        if known is not None or self._ordered(iccid):
            if known is not None and kind not in (None, known.profile_type):
                raise RefusalError(TYPE_OF_ANOTHER)
            raise RefusalError(ICCID_IN_USE)
        metadata = Metadata(iccid, name=kind or "Lab Profile", notify=with_notifications(self._address()))
        stage = Stage.ALLOCATED if eid is None else Stage.LINKED
        self.stock[iccid] = Stocked(ProfilePackage.sample(metadata), kind or "lab", stage, eid)
        return es9_json.answer({"iccid": iccid})

    def _free_iccid(self) -> str:
        number = _FIRST_SERIAL
        while (iccid := f"894902000060{number:07d}0") in self.stock or self._ordered(iccid):
            number += 1
        return iccid

    def _ordered(self, iccid: str) -> bool:
        return any(order.package.metadata.iccid == iccid for order in self.orders)

    # SGP.22 §5.3.2

    def _confirm_order(self, body: Mapping[str, Any]) -> es9_json.Json:
        _, stocked = self._stocked(body)
        release = body.get("releaseFlag")
        if not isinstance(release, bool):
            raise MalformedError("releaseFlag is missing or neither true nor false", missing=release is None)
        if stocked.stage not in (Stage.ALLOCATED, Stage.LINKED):
            raise RefusalError(ICCID_IN_USE, f"the profile is {stocked.stage.value}")
        eid = _eid(body)
        if eid is not None and stocked.eid not in (None, eid):
            raise RefusalError(EID_OF_ANOTHER)
        eid = eid or stocked.eid
        matching_id, smds = self._matching_id(body, eid), _optional(body, "smdsAddress")
        if smds is not None and eid is None:
            raise RefusalError(EID_MISSING)
        if smds is not None and self.register is None:
            raise RefusalError(SMDS_REFUSED)
        order = Order(matching_id, stocked.package, eid, _optional(body, "confirmationCode"), released=release)
        self.orders.add(order)
        stocked.eid, stocked.order, stocked.smds = eid, order, smds
        stocked.stage = Stage.CONFIRMED
        if release:
            try:
                self._release(stocked)
            except RefusalError:
                self.orders.remove(order)
                stocked.order, stocked.stage = None, Stage.ALLOCATED if eid is None else Stage.LINKED
                raise
        fields = {"eid": eid, "matchingId": matching_id, "smdpAddress": self._address()}
        return es9_json.answer({name: value for name, value in fields.items() if value is not None})

    def _matching_id(self, body: Mapping[str, Any], eid: str | None) -> str:
        """As given, empty for an order of this EID alone, else a new one."""
        wanted = _optional(body, "matchingId")
        if wanted is None:
            text = self._random(10).hex().upper()
            return "-".join(text[i : i + 5] for i in range(0, 20, 5))
        if not _MATCHING_ID.fullmatch(wanted):
            raise RefusalError(MATCHING_ID_INVALID)
        if not wanted and eid is None:
            raise RefusalError(EID_MISSING)
        if wanted and self.orders.by_matching_id(wanted) is not None:
            raise RefusalError(MATCHING_ID_TAKEN)
        return wanted

    # SGP.22 §5.3.4

    def _release_profile(self, body: Mapping[str, Any]) -> es9_json.Json:
        _, stocked = self._stocked(body)
        if stocked.stage is not Stage.CONFIRMED:
            raise RefusalError(ICCID_TRANSITION, f"the profile is {stocked.stage.value}")
        self._release(stocked)
        return es9_json.answer({})

    def _release(self, stocked: Stocked) -> None:
        order = stocked.order
        if order is None:
            raise RefusalError(ICCID_TRANSITION)
        if stocked.smds is not None and self.register is not None:
            try:
                self.register(stocked.eid or "", order.matching_id, stocked.smds)
            except SmdpError as error:
                raise RefusalError(SMDS_REFUSED, str(error)) from error
        order.released = True
        stocked.stage = Stage.RELEASED

    # SGP.22 §5.3.3

    def _cancel_order(self, body: Mapping[str, Any]) -> es9_json.Json:
        final = _optional(body, "finalProfileStatusIndicator")
        if final not in ("Available", "Unavailable") or _optional(body, "iccid") is None:
            raise RefusalError(ICCID_INCOMPLETE)
        iccid, stocked = self._stocked(body)
        eid, matching_id = _eid(body), _optional(body, "matchingId")
        if eid is not None and eid != stocked.eid:
            raise RefusalError(EID_OF_ANOTHER)
        order = stocked.order
        if matching_id is not None and (order is None or order.matching_id != matching_id):
            raise RefusalError(MATCHING_ID_OF_ANOTHER)
        if stocked.stage is Stage.UNAVAILABLE or (order is not None and order.state is not OrderState.AVAILABLE):
            raise RefusalError(ICCID_IN_USE, "the profile is downloaded or withdrawn already")
        if order is not None:
            self.orders.remove(order)
            if stocked.smds is not None and stocked.stage is Stage.RELEASED and self.delete is not None:
                self.delete(stocked.eid or "", order.matching_id, stocked.smds)
        if final == "Available":
            del self.stock[iccid]
        else:
            stocked.order, stocked.stage = None, Stage.UNAVAILABLE
        return es9_json.answer({})

    def _stocked(self, body: Mapping[str, Any]) -> tuple[str, Stocked]:
        iccid = _iccid(es9_json.text(body, "iccid"))
        found = self.stock.get(iccid)
        if found is None:
            raise RefusalError(ICCID_UNKNOWN)
        return iccid, found


def _check_header(body: Mapping[str, Any]) -> None:
    header = body.get("header")
    fields = header if isinstance(header, Mapping) else {}
    for name, refused in (("functionRequesterIdentifier", HEADER_REQUESTER), ("functionCallIdentifier", HEADER_CALL)):
        if not isinstance(fields.get(name), str) or not fields[name]:
            raise RefusalError(refused)


def _optional(body: Mapping[str, Any], name: str) -> str | None:
    return None if body.get(name) is None else es9_json.text(body, name)


def _eid(body: Mapping[str, Any]) -> str | None:
    eid = _optional(body, "eid")
    if eid is not None and not _EID.fullmatch(eid):
        raise MalformedError(f"{eid!r} is no EID")
    return None if eid is None else eid.upper()


def _iccid(text: str) -> str:
    """Without the F that fills 19 digits up, as some operators write it."""
    iccid = text.upper().removesuffix("F")
    try:
        tbcd(iccid)
    except (ValueError, der.DerError) as error:
        raise MalformedError(f"{text!r} is no ICCID") from error
    return iccid
