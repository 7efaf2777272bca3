"""What a maker does to a card at the bench: the card's refusals are told, and what is not allowed is not begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.config import Config, LocalConfig, ProvisioningConfig
from ipad_agent.daemon.maker_functions import MakerFunctions
from ipad_agent.lab.eim import EimIdentity, add_initial_eim
from ipad_agent.lab.euicc import Quirks, VirtualEuicc, default_card
from ipad_agent.lab.pki import Pki
from ipad_agent.local.local_verbs import Refused
from ipad_agent.procedures.records.replay_counters import Counters

from .local_switches import Bench
from .memory import DirectAccess


class Maker:
    """A card on the bench; ``functions`` are what a person can ask for."""

    def __init__(
        self, folder: Path, config: Config | None = None, *, associated: bool = False, quirks: Quirks | None = None
    ) -> None:
        self.card: VirtualEuicc = default_card(Pki.load(folder), associated=associated, quirks=quirks)
        self.bench = Bench(folder)
        self.memory = self.bench.world.documents
        euicc = Euicc(IsdrSession(DirectAccess(self.card)))
        self.functions = MakerFunctions(euicc, config or Config(), self.memory)
        self.request = add_initial_eim(
            EimIdentity.from_pki(Pki.load(folder)).configuration(counter=5, ask_for_token=False)
        )

    @property
    def eid(self) -> str:
        return str(self.bench.context.eid)


async def test_a_card_that_nobody_manages_gets_its_first_eim_and_no_second_one(pki_folder: Path) -> None:
    maker = Maker(pki_folder)
    assert await maker.functions.provision(maker.bench.context, maker.request.hex().encode()) == 1
    assert len(maker.card.state.eims) == 1
    with pytest.raises(Refused, match="The card refused it") as refused:
        await maker.functions.provision(maker.bench.context, maker.request)
    assert refused.value.error == "CardError"


async def test_a_file_that_sets_a_counter_back_never_gets_to_the_card(pki_folder: Path) -> None:
    maker = Maker(pki_folder)
    Counters(maker.memory).used(maker.eid, EimIdentity.from_pki(Pki.load(pki_folder)).eim_id, 9)
    with pytest.raises(Refused, match="back from 9 to 5"):
        await maker.functions.provision(maker.bench.context, maker.request)
    assert maker.card.state.eims == []


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xbf\x57\x00", b"\x30\x03\x80\x01\xff"])
async def test_a_file_that_is_none_is_refused_with_what_is_allowed(pki_folder: Path, data: bytes) -> None:
    maker = Maker(pki_folder)
    with pytest.raises(Refused) as refused:
        await maker.functions.provision(maker.bench.context, data)
    assert refused.value.error == "InvalidParameter"
    assert maker.card.state.eims == []


async def test_where_the_configuration_forbids_it_no_eim_is_added(pki_folder: Path) -> None:
    maker = Maker(pki_folder, Config(provisioning=ProvisioningConfig(allow=False)))
    with pytest.raises(Refused, match=r"provisioning\.allow"):
        await maker.functions.provision(maker.bench.context, maker.request)
    assert maker.card.state.eims == []


async def test_the_default_smdp_is_set_and_taken_away(pki_folder: Path) -> None:
    maker = Maker(pki_folder)
    await maker.functions.set_default_smdp("smdp.example:8443")
    assert maker.card.state.default_smdp == "smdp.example:8443"
    await maker.functions.set_default_smdp("")
    assert not maker.card.state.default_smdp
    for odd in ("https://smdp.example/", "smdp example", "x" * 300, "a:99999"):
        with pytest.raises(Refused):
            await maker.functions.set_default_smdp(odd)
    assert not maker.card.state.default_smdp


async def test_immediate_enabling_is_for_a_card_that_nobody_manages(pki_folder: Path) -> None:
    maker = Maker(pki_folder)
    await maker.functions.configure_immediate_enabling(enable=True, smdp_oid="2.999.1", smdp_address="smdp.example")
    assert maker.card.state.immediate_enable is not None
    await maker.functions.configure_immediate_enabling(enable=False, smdp_oid=None, smdp_address=None)
    assert maker.card.state.immediate_enable is None
    with pytest.raises(Refused, match="no OID"):
        await maker.functions.configure_immediate_enabling(enable=True, smdp_oid="9.9", smdp_address=None)
    managed = Maker(pki_folder, associated=True)
    with pytest.raises(Refused, match="associatedEimAlreadyExists"):
        await managed.functions.configure_immediate_enabling(enable=True, smdp_oid=None, smdp_address=None)


async def test_the_card_is_handed_over_only_where_that_is_allowed(pki_folder: Path) -> None:
    maker = Maker(pki_folder)
    with pytest.raises(Refused, match=r"local\.ipae_activation"):
        await maker.functions.activate_ipae()
    config = Config(local=LocalConfig(ipae_activation=True))
    await Maker(pki_folder, config, quirks=Quirks(ipae=True)).functions.activate_ipae()
    with pytest.raises(Refused, match="The card refused it"):  # which has none
        await Maker(pki_folder, config).functions.activate_ipae()
