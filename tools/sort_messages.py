"""Make the codec's test corpus of what the lab has heard and said.

The lab keeps every message in the folder that ``IPAD_LAB_MESSAGES`` names. Of these one of each shape is taken: the
same tags in the same places, whatever the values; scenarios whose peers say what no release allows are left out.
Usage::

    mkdir /tmp/messages
    IPAD_LAB_MESSAGES=/tmp/messages pytest -n 3 tests/scenarios
    python tools/sort_messages.py /tmp/messages
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.ber.tlv import Tlv
from ipad_agent.errors import CodecError

TARGET = Path(__file__).resolve().parent.parent / "tests" / "codec" / "messages"
LARGEST_BYTES = 4096
LEFT_OUT = frozenset(
    {"none", "malformed-package", "odd-card", "psmo-all", "data-request-all", "stranger-v1-eim", "two-dialects"}
)
"""Unknown operations, messages of v1.0, things that are no message; ``none``: tests that play no scenario."""
KINDS = ("card-command", "card-answer", "eim-request", "eim-answer")


def shape(element: Tlv) -> tuple[object, ...]:
    """The tags within, each form told once, in no order. A certificate is one thing."""
    if not element.constructed or element.tag == 0x7F21:
        return (element.tag,)
    try:
        inside = [shape(child) for child in element.children()]
    except CodecError:
        return (element.tag, "unreadable")
    return (element.tag, frozenset(inside))


def main() -> None:
    """Write one file per kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    TARGET.mkdir(exist_ok=True)
    for kind in KINDS:
        found: dict[tuple[object, ...], bytes] = {}
        for path in sorted(folder.glob(f"*/{kind}-*.bin")):
            if path.parent.name in LEFT_OUT:
                continue
            message = path.read_bytes()
            try:
                element = tlv.parse(message)
            except CodecError:
                continue  # damaged on purpose
            if element.tag >> 8 != 0xBF:
                continue  # a segment of a bound profile package
            form = shape(element)
            if len(message) <= LARGEST_BYTES and (form not in found or len(message) < len(found[form])):
                found[form] = message
        lines = sorted(message.hex().upper() for message in found.values())
        (TARGET / f"{kind}.hex").write_text("\n".join(lines) + "\n", encoding="ascii")
        print(f"{kind}: {len(lines)} messages, {sum(map(len, lines)) // 2} bytes")


if __name__ == "__main__":
    main()
