from __future__ import annotations

from pathlib import Path

from ipad_agent.policy.polling.hold_reason import Held
from ipad_agent.procedures.ports import Site
from ipad_agent.site import ApnTable, Conditions, Hooks, SiteRules

from .places import script
from .test_conditions import Watch, no_signal


async def test_the_site_is_heard_as_the_procedures_want_it(tmp_path: Path) -> None:
    script(tmp_path / "hooks.d", "10", f'echo "$IPAD_MOMENT $IPAD_ICCID" > {tmp_path}/said')
    script(tmp_path / "conditions.d", "10-pump", "echo the pump is running; exit 1")
    site: Site = SiteRules(
        hooks=Hooks(tmp_path / "hooks.d", 10),
        held=Conditions(clock=Watch(), signal_dbm=no_signal, folder=tmp_path / "conditions.d", timeout_s=10),
        apns=ApnTable.loads(b'[iccid]\n"8949" = "iot.example"\n[network]\n"234-15" = "uk.example"', "apn.toml"),
        network_of={"8944150000000000012": "23415"}.get,
    )
    await site.hook("committed", {"ICCID": "8949000000000000012"})
    assert (tmp_path / "said").read_text() == "committed 8949000000000000012\n"
    assert await site.conditions() == (Held("script 10-pump", "the pump is running"),)
    assert site.apn("8949000000000000012") == "iot.example"
    assert site.apn("8944150000000000012") == "uk.example"
    assert site.apn("8944000000000000012") is None
