SUMMARY = "CoAP (RFC 7252) for Python on asyncio"
DESCRIPTION = "The Constrained Application Protocol as client and server, with observation and block-wise transfer."
HOMEPAGE = "https://aiocoap.readthedocs.io/"
SECTION = "devel/python"
LICENSE = "MIT & BSD-3-Clause"
LIC_FILES_CHKSUM = "\
    file://LICENSES/BSD-3-Clause.txt;md5=e02175a844da14704493cfe10de48aa6 \
    file://LICENSES/MIT.txt;md5=838c366f69b72c5df05c96dff79b35f2 \
"
CVE_PRODUCT = "aiocoap"

SRC_URI[sha256sum] = "464c8d2b85ec1ef435dabeaa3fb6c8256b40fadfe6ce4ca83b93acb8d555f436"

inherit pypi python_setuptools_build_meta

PYPI_PACKAGE = "aiocoap"

RDEPENDS:${PN} += "\
    python3-asyncio \
    python3-core \
    python3-json \
    python3-logging \
    python3-netclient \
"
