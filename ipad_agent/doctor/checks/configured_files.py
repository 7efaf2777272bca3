"""What the files that a configuration names hold, before an agent runs with it."""

from __future__ import annotations

from ipad_agent.config import Config, named_files
from ipad_agent.doctor.doctor_items import Item, Layer
from ipad_agent.errors import ConfigError, IpadError
from ipad_agent.net import Trust
from ipad_agent.procedures.startup.initial_eim_provisioning import read_initial_eims


def configured_files(config: Config) -> list[Item]:
    """One item for each that is wrong, or one that says that all is well."""
    problems = list(named_files(config))
    path = config.provisioning.initial_eim
    if path is not None and path.exists():
        try:
            read_initial_eims(path.read_bytes(), str(path))
        except ConfigError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path} cannot be read: {error.strerror}")
    ca_file = config.trust.ca_file
    if ca_file is not None and ca_file.exists():
        try:
            Trust.from_file(ca_file)
        except IpadError as error:
            problems.append(f"trust.ca_file: {error.message}")
    fix = "Give another file, or correct this one."
    return [Item(Layer.CONFIG, False, f"{problem.rstrip('.')}.", fix) for problem in problems] or [
        Item(Layer.CONFIG, True, "The values fit, and the files that they name can be used.")
    ]
