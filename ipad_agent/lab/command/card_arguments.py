"""The arguments of ``lab up`` that say which card is in the modem, and what the bench makes of them."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ipad_agent.lab.errors import ControlError

if TYPE_CHECKING:
    from ipad_agent.lab.crypto import der
    from ipad_agent.lab.euicc import Quirks

__all__ = ["CARDS", "add_card_arguments", "card_options"]

CARDS = ("iot-v1.0", "iot-v1.2", "iot-v1.3", "consumer", "sgp02", "ipae", "none")
_GET_RESPONSE = {"t0": "GET_RESPONSE", "inline": "INLINE", "whole": "WHOLE"}
_CLASSES = {"00": frozenset({0x00}), "80": frozenset({0x80}), "both": frozenset({0x00, 0x80})}


def add_card_arguments(parser: argparse.ArgumentParser) -> None:
    """``--card`` and everything that makes a card an odd one."""
    card = parser.add_argument_group("the card")
    card.add_argument("--card", choices=CARDS, default="iot-v1.2", help="its kind (default: iot-v1.2)")
    card.add_argument("--eid", metavar="EID", help="its EID, 32 hexadecimal digits; with new keys only")
    card.add_argument(
        "--iccid",
        metavar="ICCID",
        action="append",
        default=[],
        help="of a profile on a fresh card, letters A to E too; may be repeated, the first one is enabled",
    )
    card.add_argument("--profiles", type=int, metavar="N", help="how many profiles are on a fresh card (default: 3)")
    card.add_argument(
        "--associate",
        type=Path,
        metavar="FILE",
        help="a fresh card knows the eIMs of this file (BF57, BF55 or EimConfigurationData; DER or hex) and no other",
    )
    card.add_argument("--es10c", action="store_true", help="an IoT card that also takes ES10c, as for an LPA")
    card.add_argument(
        "--old-notifications",
        type=int,
        default=0,
        metavar="N",
        help="a fresh card keeps so many notifications of profiles that are gone",
    )
    card.add_argument(
        "--refuse-tags",
        choices=("error", "6a80"),
        help="how a tag list with fields of SGP.32 is refused: by an error in BF2D, or by a status word",
    )
    card.add_argument(
        "--unknown-function", choices=("6a88", "6d00"), default="6a88", help="status word for a function it lacks"
    )
    card.add_argument("--toolkit-command", action="store_true", help="every ES10 answer ends with 910B instead of 9000")
    card.add_argument(
        "--get-response",
        choices=tuple(_GET_RESPONSE),
        default="t0",
        help="answers come by GET RESPONSE (t0), begin at once (inline), or come as a whole",
    )
    card.add_argument(
        "--get-response-class", choices=tuple(_CLASSES), default="both", help="class in which GET RESPONSE is taken"
    )
    card.add_argument("--no-le", action="store_true", help="STORE DATA with a trailing Le is refused (6700)")
    card.add_argument(
        "--lenient-segments", action="store_true", help="segments of a profile package may be over 1020 bytes"
    )


def card_options(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of ``BenchOptions`` that these arguments decide. ``ControlError`` or ``CardError`` when they cannot
    be."""
    from ipad_agent.lab.euicc import card_kind, fresh_profiles

    if args.old_notifications < 0:
        raise ControlError("--old-notifications is 0 or more")
    kind = card_kind(args.card)
    chosen: dict[str, Any] = {
        "quirks": _odd(kind.quirks, args),
        "card_inserted": kind.inserted,
        "eid": args.eid,
        "old_notifications": args.old_notifications,
    }
    if args.iccid or args.profiles is not None:
        chosen["profiles"] = fresh_profiles(args.profiles, args.iccid)
    if args.associate is not None:
        chosen["associated"] = _configurations(args.associate)
    return chosen


def _odd(quirks: Quirks, args: argparse.Namespace) -> Quirks:
    from ipad_agent.lab.euicc import ResponseMode

    return replace(
        quirks,
        es10c=quirks.es10c or args.es10c,
        refuses_sgp32_tags=args.refuse_tags is not None,
        tag_refusal_status=0x6A80 if args.refuse_tags == "6a80" else 0,
        unknown_function_status=int(args.unknown_function, 16),
        toolkit_after_es10=args.toolkit_command,
        response_mode=ResponseMode[_GET_RESPONSE[args.get_response]],
        get_response_classes=_CLASSES[args.get_response_class],
        reject_store_data_le=args.no_le,
        lenient_segments=args.lenient_segments,
    )


def _of_dump(entry: der.Node) -> bytes:
    """What a card told of an eIM, as a fresh card takes it: it tells no counter, and its token was its own."""
    from ipad_agent.lab.crypto import der

    fields = {child.tag: child.raw for child in entry.children}
    fields.setdefault(0x83, der.integer(0, 0x83))
    if 0x84 in fields:
        fields[0x84] = der.integer(-1, 0x84)
    return der.seq(*(fields[tag] for tag in sorted(fields, key=lambda tag: tag & 0x1F)))


def _configurations(path: Path) -> tuple[bytes, ...]:
    """Each EimConfigurationData (30...) of a file; ``ControlError`` when it holds none."""
    from ipad_agent.lab.crypto import der

    try:
        raw = path.read_bytes()
        text = raw.strip()
        if text and all(byte in b"0123456789abcdefABCDEF \r\n\t" for byte in text):
            raw = bytes.fromhex(text.decode())
        node = der.parse(raw, ber=True)
        if node.tag == 0xBF57:
            return tuple(child.raw for child in node.get(0xA0).children)
        if node.tag == 0xBF55:
            return tuple(_of_dump(child) for child in node.get(0xA0).children)
        if node.tag == 0x30:
            return (node.raw,)
    except (der.DerError, ValueError) as error:
        raise ControlError(f"{path} holds no eIM configuration: {error}") from error
    raise ControlError(f"{path} holds no eIM configuration, but {node.tag:X}")
