"""The unsolicited lines by which modules tell of their card, maker by maker."""

from __future__ import annotations

from .modem_options import SimEvents

__all__ = ["announcements"]


def announcements(style: SimEvents, *, present: bool, usable: bool, reports: int) -> tuple[str, ...]:
    """The lines for a card that was started (``present``) or cut off; ``usable`` when a profile is enabled on it.

    ``reports`` is what the host set by the maker's command for it, 0 being silence where there is such a command.
    """
    pin = "+CPIN: READY" if usable else "+CPIN: NOT READY"
    match style:
        case "quectel":
            lines = [pin, *(["+QUSIM: 1"] if present else [])]
            return (*lines, *([f"+QSIMSTAT: 1,{int(present)}"] if reports else []))
        case "simcom":
            return (pin, "SMS DONE") if usable else (pin,)
        case "simcom-a76":
            return (pin,) if present else ("+SIMCARD: NOT AVAILABLE",)
        case "ublox":  # a bit mask; bit 0 is for the states 0 to 6
            return (f"+UUSIMSTAT:{6 if usable else 4 if present else 0}",) if reports & 1 else ()
        case "telit":
            if not reports:
                return ()
            ready = ("#QSS: 2", "#QSS: 3") if usable and reports >= 2 else ()
            return (f"#QSS: {int(present)}", *ready)
        case "nordic":
            return (f"%XSIM: {int(usable)}",) if reports else ()
        case "cinterion":
            state = f"+CIEV: simstatus,{5 if usable else 1}"
            return (f"^SCKS: {int(present)}", state) if reports else ()
        case "tdtech":
            return (f"^SIMST: {1 if usable else 0 if present else 255}",)
        case "fibocom":
            return (f"+ESIMS: {int(usable)}",)
        case "cpin":
            return (pin,)
    return ()
