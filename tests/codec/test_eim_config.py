"""What the eUICC holds about eIMs: reading, the ways keys are wrapped, and writing it for AddInitialEim."""

from __future__ import annotations

import pytest

from ipad_agent.codec.ber import asn1_schema, tlv
from ipad_agent.codec.es10.eim_configuration import (
    EimConfigurationData,
    EimConfigurations,
    EimIdType,
    EimProtocol,
    PublicKeyData,
    add_initial_eim_from_dump,
    add_initial_eim_request,
    check_add_initial,
)
from ipad_agent.errors import CodecError

from .vectors import ADD_INITIAL, CERT, EIM_DUMP, EIM_FULL, SPKI, H


def with_field(*extra: str | bytes) -> bytes:
    """An entry of eimId ``e`` with these fields behind it."""
    return tlv.encode(0x30, H("800165", *extra))


def build(eim_id: str = "e", **fields: object) -> EimConfigurationData:
    base: dict[str, object] = {"counter": 0, "public_key": PublicKeyData("spki", SPKI)}
    return EimConfigurationData.build(eim_id=eim_id, **(base | fields))  # type: ignore[arg-type]  # by name


def test_every_field_is_read() -> None:
    config = EimConfigurationData.parse(EIM_FULL)
    assert config == EimConfigurationData(
        raw=EIM_FULL,
        eim_id="eim.example",
        fqdn="eim.example:5684",
        id_type=EimIdType.FQDN,
        counter=0,
        association_token=5,
        public_key=PublicKeyData("spki", SPKI),
        trusted_tls=PublicKeyData("certificate", CERT),
        supported_protocol=frozenset({EimProtocol.RETRIEVE_HTTPS, EimProtocol.RETRIEVE_COAPS}),
        ci_pkid=bytes([0xF5] * 20),
        indirect_download=True,
    )


def test_an_entry_with_nothing_but_its_name_is_read() -> None:
    config = EimConfigurationData.parse(H("30 03 800165"))
    assert (config.eim_id, config.fqdn, config.supported_protocol, config.indirect_download) == ("e", None, None, False)


@pytest.mark.parametrize("data", ["30 00", "30 02 8000", "30 03 8001FF", "31 03 800165", "30 06 800165 A60100"])
def test_an_entry_without_a_usable_name_or_with_broken_trust_is_refused(data: str) -> None:
    with pytest.raises(CodecError):
        EimConfigurationData.parse(H(data))


def test_a_key_that_kept_its_sequence_inside_the_choice_is_unwrapped() -> None:
    config = EimConfigurationData.parse(with_field("A5 5D A0 5B", SPKI, "A6 1A A1 18", CERT))
    assert config.public_key == PublicKeyData("spki", SPKI)
    assert config.trusted_tls == PublicKeyData("certificate", CERT)
    assert config.tolerances == ("explicit-key",)


def test_a_key_without_the_choice_is_told_by_its_shape() -> None:
    config = EimConfigurationData.parse(with_field("A5 5B", SPKI, "A6 16", CERT[2:]))
    assert config.public_key == PublicKeyData("spki", SPKI)
    assert config.trusted_tls == PublicKeyData("certificate", CERT)
    assert config.tolerances == ("key-without-choice",)


def test_a_certificate_under_the_tag_of_a_key_is_taken_for_a_certificate() -> None:
    config = EimConfigurationData.parse(with_field("A6 18 A0 16", CERT[2:]))
    assert config.trusted_tls == PublicKeyData("certificate", CERT)
    assert config.tolerances == ("key-under-other-tag",)


def test_an_empty_signing_key_counts_as_absent() -> None:
    config = EimConfigurationData.parse(with_field("A500"))
    assert (config.public_key, config.tolerances) == (None, ("empty-key-data",))


@pytest.mark.parametrize("field", ["A600", "A602A000", "A6023000"])
def test_an_empty_tls_key_is_never_taken_for_no_key(field: str) -> None:
    with pytest.raises(CodecError, match="no key and no certificate"):
        EimConfigurationData.parse(with_field(field))
    dump = EimConfigurations.parse(tlv.encode(0xBF55, tlv.encode(0xA0, with_field(field), with_field())))
    assert [config.trusted_tls for config in dump.configs] == [None]
    assert [item.raw for item in dump.unreadable] == [with_field(field)]


def test_an_unreadable_signing_key_is_left_to_the_euicc() -> None:
    config = EimConfigurationData.parse(with_field("A5 04 A002 0500"))
    assert (config.public_key, config.tolerances) == (None, ("unreadable-signing-key",))


def test_an_unreadable_tls_key_is_never_taken_for_no_key() -> None:
    with pytest.raises(CodecError, match="no key and no certificate"):
        EimConfigurationData.parse(with_field("A6 04 A002 0500"))


def test_protocol_bits_that_are_no_bit_string_count_as_absent() -> None:
    config = EimConfigurationData.parse(with_field("8701C0"))
    assert (config.supported_protocol, config.tolerances) == (None, ("unreadable-bits",))


def test_protocol_bits_of_the_future_are_skipped() -> None:
    config = EimConfigurationData.parse(with_field("87020144"))
    assert config.supported_protocol == frozenset({EimProtocol.RETRIEVE_COAPS})


def test_a_broken_entry_does_not_hide_the_others() -> None:
    answer = EimConfigurations.parse(H("BF55 0F A00D 3003800165 3001 00 3003800166"))
    assert [config.eim_id for config in answer.configs] == ["e", "f"]
    assert [item.raw for item in answer.unreadable] == [H("300100")]
    assert answer.tolerances == ("unreadable-element",)


def test_no_eim_at_all_is_an_empty_list() -> None:
    assert EimConfigurations.parse(H("BF55 02 A000")).configs == ()
    assert EimConfigurations.parse(H("BF55 00")).tolerances == ("empty-answer",)


def test_what_is_written_is_what_the_schema_writes() -> None:
    config = EimConfigurationData.build(
        eim_id="eim.example",
        fqdn="eim.example:5684",
        id_type=EimIdType.FQDN,
        counter=0,
        association_token=5,
        public_key=PublicKeyData("spki", SPKI),
        trusted_tls=PublicKeyData("certificate", CERT),
        supported_protocol={EimProtocol.RETRIEVE_HTTPS, EimProtocol.RETRIEVE_COAPS},
        ci_pkid=bytes([0xF5] * 20),
        indirect_download=True,
    )
    assert config.raw == EIM_FULL
    assert asn1_schema.encode("EimConfigurationData", asn1_schema.decode("EimConfigurationData", EIM_FULL)) == EIM_FULL


def test_a_dump_becomes_a_request_that_asks_for_a_new_token() -> None:
    assert add_initial_eim_from_dump(EIM_DUMP) == ADD_INITIAL


def test_a_dump_without_token_keeps_every_byte() -> None:
    entry = build().raw
    dump = tlv.encode(0xBF55, tlv.encode(0xA0, entry))
    assert add_initial_eim_from_dump(dump) == tlv.encode(0xBF57, tlv.encode(0xA0, entry))


def test_a_dump_with_an_unreadable_entry_is_not_loaded_in_part() -> None:
    with pytest.raises(CodecError, match="cannot be read"):
        add_initial_eim_from_dump(tlv.encode(0xBF55, tlv.encode(0xA0, build().raw, H("300100"))))


def test_a_good_list_has_no_problems() -> None:
    assert check_add_initial([build("a"), build("b", association_token=-1)]) == ()


@pytest.mark.parametrize(
    ("configs", "problem"),
    [
        ([], "the list of eIMs is empty"),
        ([build("a"), build("a")], "eimId a is listed 2 times"),
        ([build("a", counter=None)], "eIM a has no counterValue"),
        ([build("a", counter=-1)], "eIM a has a negative counterValue"),
        ([build("a", public_key=None)], "eIM a has no usable eimPublicKeyData"),
        ([build("a", association_token=3)], "eIM a has an associationToken other than -1"),
    ],
)
def test_what_the_euicc_would_refuse_is_named_and_not_sent(configs: list[EimConfigurationData], problem: str) -> None:
    assert check_add_initial(configs) == (problem,)
    with pytest.raises(CodecError, match=problem):
        add_initial_eim_request(configs)


def test_an_entry_out_of_a_package_is_retagged_for_the_list() -> None:
    order = EimConfigurationData.parse(b"\xa8" + build().raw[1:])
    assert add_initial_eim_request([order]) == add_initial_eim_request([build()])


def test_entries_do_not_show_their_keys_when_printed() -> None:
    assert SPKI.hex() not in repr(EimConfigurationData.parse(EIM_FULL))
    assert repr(SPKI) not in repr(EimConfigurationData.parse(EIM_FULL))


def test_an_eim_id_of_control_characters_cannot_forge_lines_of_the_log() -> None:
    (problem,) = check_add_initial([build("a\n<3>IPA-1000 \x1b[2J\u202e" + "b" * 500, counter=None)])
    assert problem == "eIM a <3>IPA-1000 ?[2J?" + "b" * 109 + " has no counterValue"


def test_of_very_many_problems_the_first_are_told() -> None:
    with pytest.raises(CodecError) as caught:
        add_initial_eim_request([build("a")] * 2 + [build(f"b{n}", counter=None) for n in range(300)])
    assert "a is listed 2 times" in caught.value.message
    assert caught.value.message.endswith("and 293 more of that")
