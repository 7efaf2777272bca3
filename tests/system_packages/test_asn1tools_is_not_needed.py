"""asn1tools takes 25 MB of memory and is in no distribution. It serves the tests as a second opinion, nothing else."""

from __future__ import annotations

import subprocess
import sys

_WITHOUT = """
import importlib, pkgutil, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("asn1tools", "bitstruct", "pyparsing"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
_EVERYTHING = """
import ipad_agent
names = [found.name for found in pkgutil.walk_packages(ipad_agent.__path__, "ipad_agent.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names) > 400, sorted(name for name in sys.modules if name.split(".")[0] in ("asn1tools", "bitstruct")))
"""
_DECODE = """
from ipad_agent.cli.ipactl import main
sys.exit(main(["decode", "BF2D00"]))
"""
_SCHEMA = """
from ipad_agent.codec.ber.asn1_schema import Schema
Schema()
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", _WITHOUT + program], capture_output=True, text=True, check=False)


def test_every_module_can_be_imported_without_asn1tools() -> None:
    ran = run(_EVERYTHING)
    assert (ran.returncode, ran.stdout) == (0, "True []\n"), ran.stderr


def test_messages_are_shown_without_asn1tools() -> None:
    ran = run(_DECODE)
    assert ran.returncode == 0, ran.stderr
    assert "BF2D" in ran.stdout


def test_what_does_need_asn1tools_would_be_noticed() -> None:
    assert "No module named 'asn1tools'" in run(_SCHEMA).stderr
