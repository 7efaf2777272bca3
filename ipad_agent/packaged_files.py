"""Files that come with the program and are no Python: module profiles, schema, what systemd and D-Bus are told.

In a source tree they lie at its top (``hw/``, ``asn1/``, ``systemd/`` ...), where people look for them. An installed
package has them in ``ipad_agent/data/``, under the same names (``setup.py`` puts them there). A distribution may leave
them out and put them where its policy wants them; then they are not found here.
"""

from __future__ import annotations

from pathlib import Path


def packaged(name: str) -> Path:
    """Where the file or folder of this name (``hw/modems``) is; it need not be there.

    The source tree comes first, for an installation that is only a link to it.
    """
    package = Path(__file__).parent  # importlib.resources would load archives and compression
    tree = package.parent
    if (tree / "pyproject.toml").is_file() and (tree / "systemd" / "ipad-agent.service").is_file():
        return tree / name
    return package / "data" / name
