"""Known-answer vectors: messages written out by hand from the tables of the ASN.1 modules.

SGP.32 v1.2 and SGP.22 v2.5 where nothing else is said, names ending in V10 in the tagging of SGP.32 v1.0. None was
made by the code under test. The indentation in the literals shows the nesting; ``H`` joins hexadecimal text and
vectors. Keys, certificates and signatures are of the right shape only.

Long: data, one literal after the other.
"""

from __future__ import annotations

EID_DIGITS = "89049032123451234512345678901235"
"""A test EID (SGP.26 prefix) whose check digits are right."""

ICCID_DIGITS = "8949449999999990023"
"""A test ICCID with a right Luhn digit; on the wire ``98 94 44 99 99 99 99 09 20 F3``."""


def H(*parts: str | bytes) -> bytes:  # noqa: N802 - reads as the literal it is
    return b"".join(bytes.fromhex(part) if isinstance(part, str) else part for part in parts)


SIGNATURE = H(
    "5F37 40 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F202122232425262728292A2B2C2D",
    "2E2F303132333435363738393A3B3C3D3E3F",
)
SPKI = H(
    "30 59",
    "  30 13",
    "    06 07 2A8648CE3D0201",
    "    06 08 2A8648CE3D030107",
    "  03 42 00041111111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
    "1111111111111111111111111111111111111111",
)
CERT = H(
    "30 16",
    "  30 03",
    "    02 01 01",
    "  30 0A",
    "    06 08 2A8648CE3D040302",
    "  03 03 00AABB",
)
EIM_FULL = H(
    "30 81BB",
    "  80 0B 65696D2E6578616D706C65",
    "  81 10 65696D2E6578616D706C653A35363834",
    "  82 01 02",
    "  83 01 00",
    "  84 01 05",
    "  A5 5B",
    "    A0 59",
    "      30 13",
    "        06 07 2A8648CE3D0201",
    "        06 08 2A8648CE3D030107",
    "      03 42 0004111111111111111111111111111111111111111111111111111111111111111111111111111111111111",
    "11111111111111111111111111111111111111111111",
    "  A6 18",
    "    A1 16",
    "      30 03",
    "        02 01 01",
    "      30 0A",
    "        06 08 2A8648CE3D040302",
    "      03 03 00AABB",
    "  87 02 06C0",
    "  88 14 F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5",
    "  89 00",
)
EIM_DUMP = H(
    "BF55 81C1",
    "  A0 81BE",
    EIM_FULL,
)
ADD_INITIAL = H(
    "BF57 81C1",
    "  A0 81BE",
    "    30 81BB",
    "      80 0B 65696D2E6578616D706C65",
    "      81 10 65696D2E6578616D706C653A35363834",
    "      82 01 02",
    "      83 01 00",
    "      84 01 FF",
    "      A5 5B",
    "        A0 59",
    "          30 13",
    "            06 07 2A8648CE3D0201",
    "            06 08 2A8648CE3D030107",
    "          03 42 000411111111111111111111111111111111111111111111111111111111111111111111111111111111",
    "111111111111111111111111111111111111111111111111",
    "      A6 18",
    "        A1 16",
    "          30 03",
    "            02 01 01",
    "          30 0A",
    "            06 08 2A8648CE3D040302",
    "          03 03 00AABB",
    "      87 02 06C0",
    "      88 14 F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5",
    "      89 00",
)
PACKAGE_ENABLE = H(
    "BF51 8181",
    "  30 3C",
    "    80 0B 65696D2E6578616D706C65",
    "    5A 10 89049032123451234512345678901235",
    "    81 02 0080",
    "    82 02 0102",
    "    A0 13",
    "      A3 0E",
    "        5A 0A 989444999999990920F3",
    "        05 00",
    "      BF2D 00",
    SIGNATURE,
)
PACKAGE_ECO = H(
    "BF51 8184",
    "  30 3F",
    "    80 0B 65696D2E6578616D706C65",
    "    5A 10 89049032123451234512345678901235",
    "    81 01 07",
    "    A1 1B",
    "      A8 0C",
    "        80 07 6E65772E65696D",
    "        83 01 00",
    "      A9 09",
    "        80 07 6F6C642E65696D",
    "      AB 00",
    SIGNATURE,
)
RESULT_SIGNED = H(
    "BF51 81B1",
    "  A0 81AE",
    "    30 69",
    "      80 0B 65696D2E6578616D706C65",
    "      81 02 0080",
    "      82 02 0102",
    "      83 01 2A",
    "      30 4F",
    "        83 01 00",
    "        BF2D 41",
    "          A0 3F",
    "            E3 3D",
    "              5A 0A 989444999999990920F3",
    "              4F 10 A0000005591010FFFFFFFF8900001100",
    "              9F70 01 01",
    "              91 08 4F70657261746F72",
    "              92 04 4E616D65",
    "              95 01 02",
    "              9F26 01 FF",
    "              9F67 01 FF",
    "        A8 03",
    "          84 01 03",
    "        02 01 02",
    SIGNATURE,
)
RESULT_SIGNED_V10 = H(
    "A0 81AE",
    "  30 69",
    "    80 0B 65696D2E6578616D706C65",
    "    81 02 0080",
    "    82 02 0102",
    "    83 01 2A",
    "    30 4F",
    "      83 01 00",
    "      BF2D 41",
    "        A0 3F",
    "          E3 3D",
    "            5A 0A 989444999999990920F3",
    "            4F 10 A0000005591010FFFFFFFF8900001100",
    "            9F70 01 01",
    "            91 08 4F70657261746F72",
    "            92 04 4E616D65",
    "            95 01 02",
    "            9F26 01 FF",
    "            9F67 01 FF",
    "      A8 03",
    "        84 01 03",
    "      02 01 02",
    SIGNATURE,
)
RESULT_ERROR_SIGNED = H(
    "BF51 5E",
    "  A1 5C",
    "    30 17",
    "      80 0B 65696D2E6578616D706C65",
    "      81 01 05",
    "      82 02 0102",
    "      02 01 04",
    SIGNATURE,
)
NOTIFICATION_ENABLE = H(
    "30 8197",
    "  BF2F 21",
    "    80 01 05",
    "    81 02 0640",
    "    0C 0C 736D64702E6578616D706C65",
    "    5A 0A 989444999999990920F3",
    SIGNATURE,
    CERT,
    CERT,
)
PIR_OK = H(
    "BF37 8195",
    "  BF27 4F",
    "    80 02 0A0B",
    "    BF2F 21",
    "      80 01 06",
    "      81 02 0780",
    "      0C 0C 736D64702E6578616D706C65",
    "      5A 0A 989444999999990920F3",
    "    06 04 2B060104",
    "    A2 1F",
    "      A0 1D",
    "        4F 10 A0000005591010FFFFFFFF8900001200",
    "        04 09 3007A0053003800100",
    SIGNATURE,
)
PIR_FAILED = H(
    "BF37 7E",
    "  BF27 38",
    "    80 02 0A0B",
    "    BF2F 21",
    "      80 01 07",
    "      81 02 0780",
    "      0C 0C 736D64702E6578616D706C65",
    "      5A 0A 989444999999990920F3",
    "    06 04 2B060104",
    "    A2 08",
    "      A1 06",
    "        80 01 05",
    "        81 01 0A",
    SIGNATURE,
)
RETRIEVED = H(
    "BF2B 820137",
    "  A0 820133",
    NOTIFICATION_ENABLE,
    PIR_OK,
)
RETRIEVED_RESULTS = H(
    "BF2B 81B8",
    "  A2 81B5",
    RESULT_SIGNED,
)
RETRIEVED_RESULTS_V10 = H(
    "BF2B 81B4",
    "  A2 81B1",
    RESULT_SIGNED_V10,
)
RETRIEVED_BOTH_V10 = H(
    "BF2B 820155",
    "  A3 820151",
    "    A0 819A",
    NOTIFICATION_ENABLE,
    "    A1 81B1",
    RESULT_SIGNED_V10,
)
LISTED = H(
    "BF28 26",
    "  A0 24",
    "    BF2F 21",
    "      80 01 05",
    "      81 02 0640",
    "      0C 0C 736D64702E6578616D706C65",
    "      5A 0A 989444999999990920F3",
)
COMPACT_PIR = H(
    "A0 54",
    "  A0 0F",
    "    80 02 0A0B",
    "    02 01 06",
    "    A2 06",
    "      A0 04",
    "        4F 02 1200",
    SIGNATURE,
)
COMPACT_OTHER = H(
    "A1 79",
    "  5A 10 89049032123451234512345678901235",
    "  BF2F 21",
    "    80 01 05",
    "    81 02 0640",
    "    0C 0C 736D64702E6578616D706C65",
    "    5A 0A 989444999999990920F3",
    SIGNATURE,
)
DATA_REQUEST = H(
    "BF52 22",
    "  5C 0D A081A2BF20BF228384A5A6A8A9",
    "  04 02 F5F5",
    "  A1 04",
    "    81 02 0560",
    "  A2 03",
    "    80 01 2A",
    "  83 02 0102",
)
DATA_REQUEST_V10 = H(
    "BF52 13",
    "  5C 0D 80BF20BF228384A5A688A9BF2B",
    "  A1 02",
    "    82 00",
)
INFO1 = H(
    "BF20 35",
    "  82 03 020500",
    "  A9 16",
    "    04 14 F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5",
    "  AA 16",
    "    04 14 F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5",
)
INFO2 = H(
    "BF22 8187",
    "  81 03 020301",
    "  82 03 020500",
    "  83 03 010203",
    "  84 0D 81010182040004000083021000",
    "  85 04 07FFFF80",
    "  86 03 0F0000",
    "  88 02 0490",
    "  A9 16",
    "    04 14 F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5",
    "  AA 16",
    "    04 14 F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5",
    "  99 02 0640",
    "  04 03 010000",
    "  0C 0A 58582D59592D30303031",
    "  90 01 00",
    "  B4 10",
    "    A0 0A",
    "      04 03 010000",
    "      04 03 010200",
    "    81 00",
    "    82 00",
)
PROFILES = H(
    "BF2D 41",
    "  A0 3F",
    "    E3 3D",
    "      5A 0A 989444999999990920F3",
    "      4F 10 A0000005591010FFFFFFFF8900001100",
    "      9F70 01 01",
    "      91 08 4F70657261746F72",
    "      92 04 4E616D65",
    "      95 01 02",
    "      9F26 01 FF",
    "      9F67 01 FF",
)
RAT = H(
    "BF43 21",
    "  A0 1F",
    "    30 1D",
    "      80 02 0640",
    "      A1 13",
    "        30 07",
    "          80 03 62F210",
    "          81 00",
    "        30 08",
    "          80 03 EEEEEE",
    "          81 01 AB",
    "      82 02 0780",
)
CERTS = H(
    "BF56 32",
    "  A0 30",
    "    A5 16",
    "      30 03",
    "        02 01 01",
    "      30 0A",
    "        06 08 2A8648CE3D040302",
    "      03 03 00AABB",
    "    A6 16",
    "      30 03",
    "        02 01 01",
    "      30 0A",
    "        06 08 2A8648CE3D040302",
    "      03 03 00AABB",
)
METADATA = H(
    "BF25 44",
    "  5A 0A 989444999999990920F3",
    "  91 08 4F70657261746F72",
    "  92 04 4E616D65",
    "  B6 14",
    "    30 12",
    "      80 02 0780",
    "      81 0C 736D64702E6578616D706C65",
    "  B7 08",
    "    80 03 62F210",
    "    81 01 AB",
    "  99 02 0640",
    "  9F67 01 FF",
)
SERVER_SIGNED1 = H(
    "30 36",
    "  80 02 0A0B",
    "  81 10 C1C1C1C1C1C1C1C1C1C1C1C1C1C1C1C1",
    "  83 0C 736D64702E6578616D706C65",
    "  84 10 C2C2C2C2C2C2C2C2C2C2C2C2C2C2C2C2",
)
SMDP_SIGNED2 = H(
    "30 07",
    "  80 02 0A0B",
    "  01 01 FF",
)
CTX_PARAMS1 = H(
    "A0 20",
    "  80 05 4142432D31",
    "  A1 17",
    "    80 04 53926011",
    "    A1 05",
    "      85 03 0F0000",
    "    82 08 539260112143655F",
)
INITIATE_OK = H(
    "BF39 81C9",
    "  A0 81C6",
    "    80 02 0A0B",
    SERVER_SIGNED1,
    SIGNATURE,
    "    04 02 F5F5",
    CERT,
    "    0C 05 4142432D31",
    "    A2 22",
    CTX_PARAMS1,
)
CLIENT_OK = H(
    "BF3B 81D4",
    "  A0 81D1",
    "    80 02 0A0B",
    METADATA,
    SMDP_SIGNED2,
    SIGNATURE,
    CERT,
    "    04 20 CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC",
)
CLIENT_DS = H(
    "BF3B 0D",
    "  A1 0B",
    "    80 02 0A0B",
    "    BF54 04",
    "      A0 02",
    "        81 00",
)
BPP_OK = H(
    "BF3A 1E",
    "  A0 1C",
    "    80 02 0A0B",
    "    BF36 15",
    "      BF23 03",
    "        82 01 01",
    "      A0 03",
    "        87 01 00",
    "      A1 03",
    "        88 01 00",
    "      A3 03",
    "        86 01 00",
)
AUTH_OK = H(
    "BF38 82014B",
    "  A0 820147",
    "    30 81D1",
    "      80 02 0A0B",
    "      83 0C 736D64702E6578616D706C65",
    "      84 10 C2C2C2C2C2C2C2C2C2C2C2C2C2C2C2C2",
    INFO2,
    CTX_PARAMS1,
    SIGNATURE,
    CERT,
    CERT,
)
AUTH_REQUEST = H(
    "BF38 81CB",
    SERVER_SIGNED1,
    SIGNATURE,
    "  04 14 F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5F5",
    CERT,
    CTX_PARAMS1,
)
PREPARE_REQUEST = H(
    "BF21 8186",
    SMDP_SIGNED2,
    SIGNATURE,
    "  04 20 CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC",
    CERT,
)
PREPARE_OK = H(
    "BF21 8190",
    "  A0 818D",
    "    30 48",
    "      80 02 0A0B",
    "      5F49 41 04222222222222222222222222222222222222222222222222222222222222222222222222222222222222",
    "22222222222222222222222222222222222222222222",
    SIGNATURE,
)
CANCEL_OK = H(
    "BF41 54",
    "  A0 52",
    "    30 0D",
    "      80 02 0A0B",
    "      81 04 2B060104",
    "      82 01 03",
    SIGNATURE,
)
EPR_AND_NOTIFICATIONS = H(
    "30 8201EC",
    RESULT_SIGNED,
    "  A0 820133",
    NOTIFICATION_ENABLE,
    PIR_OK,
)
ROLLBACK_OK = H(
    "BF58 5E",
    "  02 01 00",
    "  BF51 58",
    "    A0 56",
    "      30 11",
    "        80 01 65",
    "        81 01 05",
    "        83 01 2B",
    "        30 06",
    "          83 01 00",
    "          8C 01 00",
    SIGNATURE,
)
IPA_DATA = H(
    "BF52 820283",
    "  A0 82027F",
    "    A0 819A",
    NOTIFICATION_ENABLE,
    "    81 0C 736D64702E6578616D706C65",
    "    A2 81B5",
    RESULT_SIGNED,
    INFO1,
    INFO2,
    "    83 0C 736D64732E6578616D706C65",
    "    84 01 05",
    "    A5 16",
    "      30 03",
    "        02 01 01",
    "      30 0A",
    "        06 08 2A8648CE3D040302",
    "      03 03 00AABB",
    "    A6 16",
    "      30 03",
    "        02 01 01",
    "      30 0A",
    "        06 08 2A8648CE3D040302",
    "      03 03 00AABB",
    "    87 02 0102",
    "    A8 08",
    "      80 02 06C0",
    "      81 02 0640",
    "    A9 08",
    "      80 04 53926011",
    "      A1 00",
)
IPA_DATA_V10 = H(
    "BF52 8201AA",
    "  A0 8201A6",
    "    80 0C 736D64702E6578616D706C65",
    INFO1,
    "    A8 04",
    "      80 02 06C0",
    RETRIEVED_BOTH_V10,
)

# Made with OpenSSL 3.0.19 (`openssl ca -selfsign`, P-256): valid 2026-01-01 00:00:00 (UTCTime) to 2051-12-31 23:59:59
# (GeneralizedTime), subjectAltName RID:2.999.10, DNS:smdp.example.
SERVER_CERTIFICATE = bytes.fromhex(
    "3082016a30820110a003020102020101300a06082a8648ce3d04030230153113301106035504030c0a5445535420534d2d44503020170d32"
    "36303130313030303030305a180f32303531313233313233353935395a30153113301106035504030c0a5445535420534d2d445030593013"
    "06072a8648ce3d020106082a8648ce3d030107034200043993d3558e57e4f7265d25a6844d33bdad697628ff8e639c7f75f33d14aa55fc01"
    "90397cc65a2a37ab4c6a1f1b716dd5093dc3620ffbafd9c9b2351ad4026096a34f304d300e0603551d0f0101ff040403020780301c060355"
    "1d1104153013880388370a820c736d64702e6578616d706c65301d0603551d0e0416041457564877ff9109e901da8847f6c86de61f36d670"
    "300a06082a8648ce3d040302034800304502202fbb6ba56adbc7efa1f2e73d09d90d7ce8c9f299eecb2b0b721242a72b41312b0221009b78"
    "d054762f06880b4c8a7c0625e928feecd081e6ad332e64e4f851c3320777"
)

# Written by hand after SGP.22 v2.5 §2.5.3: metadata (BF25, ICCID, "ABC", "MNO") in two segments of 88 with 8-byte MACs,
# then one segment of profile elements.
BOUND_PACKAGE = bytes.fromhex(
    "BF3642"
    "BF2303820101"
    "A00487020102"
    "A12D"
    "8814BF25165A0A98940200000009A1A1A1A1A1A1A1A1"
    "8815000010910341424392034D4E4FA2A2A2A2A2A2A2A2"
    "A3058603010203"
)
