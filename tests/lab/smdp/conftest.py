"""PKIs of both curves, made once, and the SM-DP+ with one order."""

from __future__ import annotations

import pytest

from ipad_agent.lab.pki import Pki
from ipad_agent.lab.smdp import Metadata, Order, ProfilePackage, ServerIdentity, VirtualSmdp

from .scripted import ICCID, MATCHING, Card


@pytest.fixture(scope="session")
def p256(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("p256"), "p256")


@pytest.fixture(scope="session")
def brainpool(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.create(tmp_path_factory.mktemp("brainpool"), "brainpool")


@pytest.fixture(params=["p256", "brainpool"])
def pki(request: pytest.FixtureRequest) -> Pki:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Pki)
    return found


@pytest.fixture
def smdp(p256: Pki) -> VirtualSmdp:
    return VirtualSmdp(ServerIdentity.smdp(p256))


@pytest.fixture
def order(smdp: VirtualSmdp) -> Order:
    return smdp.orders.add(Order(MATCHING, ProfilePackage.sample(Metadata(ICCID), 3000)))


@pytest.fixture
def card(p256: Pki) -> Card:
    return Card(p256)
