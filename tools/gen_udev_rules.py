"""Write the second AT ports of known modems into hw/99-ipad-agent.rules, from hw/modems/; ``--check`` only compares."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from ipad_agent.modem.module_profile import Grade, ModuleProfile
from ipad_agent.modem.module_profile_files import load

ROOT: Final = Path(__file__).resolve().parents[1]
RULES: Final = ROOT / "hw" / "99-ipad-agent.rules"
BEGIN, END = "# generated: begin\n", "# generated: end\n"


def lines(profiles: tuple[ModuleProfile, ...]) -> list[str]:
    """Per vendor and interface one line that notes the interface, then per interface one that gives the port away."""
    products: dict[tuple[str, int], list[str]] = {}
    for profile in profiles:
        for ports in profile.usb_ports:
            if ports.second_at_interface is None:
                continue
            for usb_id in ports.ids:
                if _guessed(profile, usb_id):
                    continue
                vendor, _, product = usb_id.partition(":")
                products.setdefault((vendor, ports.second_at_interface), []).append(product)
    found = [
        f'SUBSYSTEMS=="usb", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{"|".join(sorted(ids))}", '
        f'ENV{{.IPAD_AT2}}="{interface:02x}"'
        for (vendor, interface), ids in sorted(products.items())
    ]
    found += [
        f'ENV{{.IPAD_AT2}}=="{interface:02x}", ENV{{ID_USB_INTERFACE_NUM}}=="{interface:02x}", '
        'ENV{ID_MM_PORT_IGNORE}="1", SYMLINK+="ipad-agent-modem", GROUP="dialout", MODE="0660"'
        for interface in sorted({interface for _, interface in products})
    ]
    return found


def _guessed(profile: ModuleProfile, usb_id: str) -> bool:
    """A wrong name for a port is worse than none: the agent opens no other while it is there."""
    key = "port.second_at_interface" if usb_id in profile.match.usb else f"usb.{usb_id}"
    evidence = profile.evidence_for(key)
    return evidence is None or evidence.grade is Grade.GUESS


def updated(text: str) -> str:
    """The file with its generated part replaced."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "".join(line + "\n" for line in lines(load([ROOT / "hw" / "modems"]).profiles)) + END + tail


def main() -> int:
    old = RULES.read_text(encoding="utf-8")
    new = updated(old)
    if "--check" in sys.argv:
        if new != old:
            print(f"{RULES} is not up to date; run {Path(__file__).name}", file=sys.stderr)
        return int(new != old)
    RULES.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
