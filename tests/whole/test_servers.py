"""The agent's client, the lab's card and the lab's SM-DP+ over real HTTPS: a profile from order to notification.

The procedure around it has its own tests; here each step is made by hand, so that what fails has a name.
"""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest

from ipad_agent.card.es10_functions import Euicc
from ipad_agent.card.isdr_session import IsdrSession
from ipad_agent.clock import SystemClock
from ipad_agent.codec.es10.es10_download import (
    authenticate_server_request,
    cancel_session_request,
    prepare_download_request,
)
from ipad_agent.codec.esipa.device_info import DeviceInfo, encode_ctx_params1
from ipad_agent.codec.esipa.esipa_download import AuthenticateClientOk
from ipad_agent.codec.identifiers import Imei
from ipad_agent.lab.euicc import default_card
from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import Metadata, Order, ProfilePackage, ServerIdentity, SmdpServer, VirtualSmdp
from ipad_agent.net import HttpsCarrier, HttpsEndpoint, TrustRefused
from ipad_agent.net.dns_lookup import Address
from ipad_agent.smdp import SmdpClient, SmdpConnector, SmdpSettings
from ipad_agent.smdp.errors import MatchingIdRefused, TransactionUnknown

from .memory import DirectAccess

ICCID = "8949449999999999905"
MATCHING = "LAB-ORDER-1"
DEVICE = DeviceInfo.of(Imei.parse("35290611000000"))


@pytest.fixture(scope="module", params=["p256", "brainpool"])
def pki(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("pki"), request.param)


class Site:
    """A card and the SM-DP+ with one order, and a link between them that trusts what the card trusts."""

    def __init__(self, pki: Pki, folder: Path) -> None:
        self.pki = pki
        self.core = VirtualSmdp(ServerIdentity.smdp(pki))
        self.core.orders.add(Order(MATCHING, ProfilePackage.sample(Metadata(ICCID), 40_000)))
        self.server = SmdpServer(self.core)
        self.euicc = Euicc(IsdrSession(DirectAccess(default_card(pki))))
        self.folder = folder
        (folder / "ci.der").write_bytes(pki["ci"].cert_der)

    def carrier(self, endpoint: HttpsEndpoint) -> HttpsCarrier:
        async def here(host: str, port: int) -> list[Address]:
            return [Address(socket.AF_INET, ("127.0.0.1", port))]

        return HttpsCarrier(dataclasses.replace(endpoint, port=self.server.port), resolver=here, clock=SystemClock())

    async def link(self, address: str | None = None) -> SmdpClient:
        info = await self.euicc.get_euicc_info1()
        connector = SmdpConnector(SmdpSettings(ci_dir=self.folder, allow_private_servers=True), carrier=self.carrier)
        return connector.connect(address or self.core.identity.address, ci_pkids=info.ci_pkids_for_verification)

    async def authenticated(self, link: SmdpClient, matching_id: str = MATCHING) -> tuple[bytes, AuthenticateClientOk]:
        info = await self.euicc.get_euicc_info1()
        opened = await link.initiate_authentication(challenge=await self.euicc.get_challenge(), euicc_info1=info.raw)
        answer = await self.euicc.authenticate_server(
            authenticate_server_request(
                server_signed1=opened.server_signed1.raw,
                server_signature1=opened.server_signature1,
                ci_pkid=opened.ci_pkid,
                server_certificate=opened.server_certificate,
                ctx_params1=encode_ctx_params1(DEVICE, matching_id=matching_id),
            )
        )
        assert answer.error is None
        offer = await link.authenticate_client(opened.transaction_id, answer.raw)
        assert isinstance(offer, AuthenticateClientOk)
        return opened.transaction_id, offer


@pytest.fixture
def site(pki: Pki, tmp_path: Path) -> Site:
    return Site(pki, tmp_path)


async def test_profile_travels_from_the_order_to_the_notification(site: Site) -> None:
    async with site.server:
        link = await site.link()
        transaction_id, offer = await site.authenticated(link)
        prepared = await site.euicc.prepare_download(
            prepare_download_request(
                smdp_signed2=offer.smdp_signed2.raw,
                smdp_signature2=offer.smdp_signature2,
                smdp_certificate=offer.smdp_certificate,
            )
        )
        told: list[int] = []
        package = await link.get_bound_profile_package(
            transaction_id, prepared.raw, progress=lambda done, of: told.append(done)
        )
        assert told == sorted(told)
        assert told[-1] > 40_000
        result = await site.euicc.install_profile(package, lambda done, of: None)
        assert result is not None
        assert result[:2] == b"\xbf\x37"
        (pending,) = [n for n in (await site.euicc.retrieve_notifications()).notifications if n.raw == result]
        await link.handle_notification(pending.raw)
        await link.close()
    (record,) = site.core.notifications
    assert record.verified
    assert record.succeeded
    assert site.server.http.counters.connections == 1
    assert not link.tolerances


async def test_refused_matching_identifier_has_its_name(site: Site) -> None:
    async with site.server:
        link = await site.link()
        with pytest.raises(MatchingIdRefused):
            await site.authenticated(link, "NO-SUCH-ORDER")
        await link.close()


async def test_session_is_cancelled_once(site: Site) -> None:
    async with site.server:
        link = await site.link()
        transaction_id, _ = await site.authenticated(link)
        cancelled = await site.euicc.cancel_session(cancel_session_request(transaction_id, 1))
        await link.cancel_session(transaction_id, cancelled.raw)
        with pytest.raises(TransactionUnknown):
            await link.cancel_session(transaction_id, cancelled.raw)
        await link.close()


async def test_server_by_another_name_hears_nothing(site: Site) -> None:
    async with site.server:
        link = await site.link("smdp.elsewhere.example")
        with pytest.raises(TrustRefused):
            await site.authenticated(link)
    assert site.server.http.counters.requests == 0
