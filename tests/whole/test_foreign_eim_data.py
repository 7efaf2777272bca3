"""What eIMs and cards of releases to come put into their data does not keep the agent from its work."""

from __future__ import annotations

from pathlib import Path

from ipad_agent.codec.ber import tlv
from ipad_agent.codec.es10.es10_requests import parse_get_eim_configuration
from ipad_agent.lab.crypto import der
from ipad_agent.lab.eim import EimIdentity
from ipad_agent.lab.pki import Pki


def test_entries_without_a_counter_are_read_and_none_is_shown_as_zero(pki_folder: Path) -> None:
    """GetEimConfigurationData never shows counterValue (SGP.32 v1.3 §5.9.18)."""
    entry = EimIdentity.from_pki(Pki.load(pki_folder)).configuration(counter=None, ask_for_token=False)
    (config,) = parse_get_eim_configuration(der.tlv(0xBF55, der.tlv(0xA0, entry))).configs
    assert config.counter is None
    assert config.raw == entry
    assert tlv.parse(config.raw).find(0x83) is None
