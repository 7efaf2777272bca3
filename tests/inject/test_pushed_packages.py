"""TransferEimPackage answered: the right code, in the form that the eIM reads, and never for another eIM's package."""

from __future__ import annotations

import pytest

from ipad_agent.codec.es10.eim_configuration import EimConfigurationData
from ipad_agent.codec.esipa.eim_package import EimPackage
from ipad_agent.codec.identifiers import Eid
from ipad_agent.inject.pushed_packages import PushedPackages
from ipad_agent.lab.crypto import der

EID = "89049032123451234512345678901235"
EIM = "eim.example"
TRANSACTION = bytes.fromhex("0A0B0C0D")

# Answers of SGP.32 v1.3, written by pycrate's encoder from the v1.3 module.
RECEIVED_WITH_TRANSACTION = bytes.fromhex("BF4E0BBF6008A00680040A0B0C0D")
RECEIVED_WITH_EID = bytes.fromhex("BF4E17BF6014A0125A1089049032123451234512345678901235")
ERROR_2_WITH_TRANSACTION = bytes.fromhex("BF4E0EBF610BA00680040A0B0C0D810102")
OLD_RECEIVED = bytes.fromhex("BF4E020500")


class Orders:
    """Takes everything, or says ``why`` not."""

    def __init__(self, why: str | None = None) -> None:
        self.why = why
        self.taken: list[tuple[str, EimPackage]] = []
        self.numbers: list[tuple[str, tuple[int, ...]]] = []

    @property
    def eims(self) -> tuple[EimConfigurationData, ...]:
        return ()

    @property
    def eid(self) -> Eid | None:
        return Eid.parse(EID)

    async def take(self, eim_id: str, package: EimPackage) -> str | None:
        self.taken.append((eim_id, package))
        return self.why

    async def acknowledged(self, eim_id: str, numbers: tuple[int, ...]) -> str | None:
        self.numbers.append((eim_id, numbers))
        return self.why


def transfer(package: bytes) -> bytes:
    return der.tlv(0xBF4E, package)


def data_request(transaction: bytes | None = None) -> bytes:
    return der.tlv(
        0xBF52, der.octets(bytes.fromhex("BF20"), 0x5C), b"" if transaction is None else der.tlv(0x83, transaction)
    )


def signed_package(eim_id: str = EIM) -> bytes:
    signed = der.seq(
        der.utf8(eim_id, 0x80),
        der.tlv(0x5A, bytes.fromhex(EID)),
        der.integer(1, 0x81),
        der.tlv(0xA0, der.tlv(0xBF2D)),
    )
    return der.tlv(0xBF51, signed, der.tlv(0x5F37, bytes(64)))


async def answer(
    body: bytes, *, orders: Orders | None = None, eims: tuple[str, ...] = (EIM,), speaks_1_3: bool = False
) -> bytes:
    packages = PushedPackages(orders or Orders(), lambda _: speaks_1_3)
    return await packages.answer(eims, body, carrier="https")


@pytest.mark.parametrize(
    ("body", "new"),
    [(data_request(TRANSACTION), RECEIVED_WITH_TRANSACTION), (data_request(), RECEIVED_WITH_EID)],
)
async def test_what_is_taken_on_is_received_in_the_form_of_the_eims_release(body: bytes, new: bytes) -> None:
    assert await answer(transfer(body)) == OLD_RECEIVED
    assert await answer(transfer(body), speaks_1_3=True) == new


async def test_a_request_that_shows_its_release_is_answered_in_it() -> None:
    packages = PushedPackages(Orders(), lambda _: False)
    body = transfer(data_request(TRANSACTION))
    assert await packages.answer((EIM,), body, carrier="https", newest=True) == RECEIVED_WITH_TRANSACTION


async def test_what_is_not_taken_is_an_undefined_error_and_keeps_its_transaction() -> None:
    body = transfer(data_request(TRANSACTION))
    assert await answer(body, orders=Orders("a switch is under way")) == bytes.fromhex("BF4E0302017F")
    new = await answer(body, orders=Orders("a switch is under way"), speaks_1_3=True)
    assert new == bytes.fromhex("BF4E0EBF610BA00680040A0B0C0D81017F")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (bytes.fromhex("BF4E03BF5500"), 2),  # nothing that an eIM may push
        (bytes.fromhex("BF4E03BF6000"), 2),  # an answer in the place of a package
        (bytes.fromhex("BF4E06BF5103300180"), 1),
        (bytes.fromhex("BF4E00"), 1),
        (bytes.fromhex("BF4F00"), 1),
        (b"", 1),
        (b"\xff\xff", 1),
    ],
)
async def test_what_is_no_package_is_refused_by_its_code_and_reaches_nobody(body: bytes, code: int) -> None:
    orders = Orders()
    assert await answer(body, orders=orders) == bytes.fromhex(f"BF4E030201{code:02X}")
    assert orders.taken == []


async def test_a_signed_package_is_taken_for_the_eim_it_names_if_that_eim_pushed_it() -> None:
    orders = Orders()
    assert await answer(transfer(signed_package()), orders=orders, eims=("other.example", EIM)) == OLD_RECEIVED
    assert [eim for eim, _ in orders.taken] == [EIM]


async def test_another_eims_package_is_refused() -> None:
    orders = Orders()
    refused = await answer(transfer(signed_package("other.example")), orders=orders)
    assert refused == bytes.fromhex("BF4E0302017F")
    assert orders.taken == []


async def test_an_unsigned_package_of_a_key_that_two_eims_share_is_refused() -> None:
    orders = Orders()
    assert await answer(transfer(data_request()), orders=orders, eims=(EIM, "b")) == bytes.fromhex("BF4E0302017F")
    assert orders.taken == []


async def test_acknowledgements_are_answered_with_nothing() -> None:
    orders = Orders()
    body = transfer(der.tlv(0xBF53, der.integer(3, 0x80), der.integer(7, 0x80)))
    assert await answer(body, orders=orders) == b""
    assert orders.numbers == [(EIM, (3, 7))]
    assert await answer(body, orders=Orders("no card")) == bytes.fromhex("BF4E0302017F")
