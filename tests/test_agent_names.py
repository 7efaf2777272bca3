"""What follows from the name of an agent, where there are several."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.config import Config, load_if_there, loads

PATH = Path("/etc/ipad-agent/roof.toml")


def test_a_named_agent_has_folders_and_a_name_of_its_own_and_the_file_goes_before_them() -> None:
    named = loads(b"", PATH, modem="roof")
    assert str(named.store.state_dir) == "/var/lib/ipad-agents/roof"
    assert str(named.store.runtime_dir) == "/run/ipad-agents/roof"
    assert named.local.name == "roof"
    assert ("store.state_dir", named.store.state_dir, "agent roof") in list(named.places())
    own = loads(b'[store]\nstate_dir = "/data"\n', PATH, modem="roof")
    assert str(own.store.state_dir) == "/data"
    assert str(own.store.runtime_dir) == "/run/ipad-agents/roof"
    assert loads(b"", PATH).local.name == ""


def test_a_named_agent_without_a_file_has_all_other_defaults(tmp_path: Path) -> None:
    found = load_if_there(tmp_path / "roof.toml", modem="roof")
    assert found.path is None
    assert found.local.name == "roof"
    assert found.modem == Config().modem
