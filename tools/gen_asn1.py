"""Turn asn1/*.asn into ipad_agent/codec/ber/schema.json.

Parsing the modules takes most of a second and pulls in a parser library, so it is done once, here, and the result
is kept with the source. Run it after every change of a module: ``python tools/gen_asn1.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import asn1tools

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "asn1"
TARGET = ROOT / "ipad_agent" / "codec" / "ber" / "schema.json"


def generate(sources: Path = SOURCES) -> str:
    """The text of schema.json: one line per type, so that a change of one type is a change of one line."""
    modules: dict[str, Any] = asn1tools.parse_files([str(path) for path in sorted(sources.glob("*.asn"))])
    lines = []
    for name in sorted(modules):
        module = dict(modules[name])
        types = module.pop("types")
        head = [f"{json.dumps(key)}:{_compact(module[key])}" for key in sorted(module)]
        listed = ",\n".join(f"{json.dumps(key)}:{_compact(types[key])}" for key in sorted(types))
        lines.append(f'{json.dumps(name)}:{{{",".join(head)},"types":{{\n{listed}\n}}}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def main() -> int:
    """Write the file, or with ``--check`` only say whether it is current."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="do not write; fail when the file is not current")
    text = generate()
    if not arguments.parse_args().check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") != text:
        print(f"{TARGET} is not current: run python tools/gen_asn1.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
