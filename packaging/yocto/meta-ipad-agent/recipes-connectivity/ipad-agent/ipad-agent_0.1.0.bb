SUMMARY = "eSIM IoT profile assistant for gateways (GSMA SGP.32 IPAd)"
SUMMARY:${PN}-web = "Web page that shows the state of ipad-agent"
SUMMARY:${PN}-lab = "Virtual modem, eUICC and eIM for ipad-agent, and its demo"
DESCRIPTION = "Takes the orders of a remote manager (eIM) over CoAP or HTTPS and has the eUICC in the modem do them."
SECTION = "net"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

CVE_PRODUCT = "ipad-agent"

DEPENDS = "python3-native"

# Nothing is fetched: the layer lies in the source tree.
SRC_URI = ""

inherit externalsrc python3-dir python3native systemd useradd

EXTERNALSRC = "${@os.path.abspath(os.path.join(d.getVar('THISDIR'), *5 * [os.pardir]))}"

SYSTEMD_PACKAGES = "${PN} ${PN}-web"
SYSTEMD_SERVICE:${PN} = "ipad-agent.service"
# Off until somebody has made a token.
SYSTEMD_SERVICE:${PN}-web = "ipad-agent-web.socket"
SYSTEMD_AUTO_ENABLE:${PN}-web = "disable"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system ipad-view; --system ipad-examine; --system ipad-admin"
USERADD_PARAM:${PN} = "\
    --system --user-group --groups dialout --home-dir ${localstatedir}/lib/ipad-agent --no-create-home \
    --shell ${base_sbindir}/nologin ipad \
"

# Everything in its place by make install, which needs no build backend. Nothing is compiled, so there is nothing to
# configure; bytecode is made by the Python of the image, as for every module of its.
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    DESTDIR=${D} PREFIX=${prefix} SYSCONFDIR=${sysconfdir} MODULEDIR=${PYTHON_SITEPACKAGES_DIR} \
        UNITDIR=${systemd_system_unitdir} RESTART_STEPS=yes BYTECODE=yes \
        PYTHON=${PYTHON} INTERPRETER=${bindir}/python3 \
        sh ${S}/packaging/install.sh install
    install -d ${D}${docdir}/${BPN}
    install -m 0644 ${S}/docs/*.md ${S}/docs/example.toml ${D}${docdir}/${BPN}/
    # The user is made at build time by useradd. sysusers would make it once more, from a file that images without
    # systemd-sysusers do not read.
    rm -f ${D}${nonarch_libdir}/sysusers.d/ipad-agent.conf
    rmdir --ignore-fail-on-non-empty ${D}${nonarch_libdir}/sysusers.d
}

PACKAGE_BEFORE_PN = "${PN}-web ${PN}-lab"

FILES:${PN}-web += "\
    ${PYTHON_SITEPACKAGES_DIR}/ipad_agent/web \
    ${bindir}/ipad-agent-web \
    ${systemd_system_unitdir}/ipad-agent-web.* \
"

FILES:${PN}-lab += "\
    ${PYTHON_SITEPACKAGES_DIR}/ipad_agent/cli/__pycache__/demo* \
    ${PYTHON_SITEPACKAGES_DIR}/ipad_agent/cli/demo* \
    ${PYTHON_SITEPACKAGES_DIR}/ipad_agent/lab \
    ${PYTHON_SITEPACKAGES_DIR}/ipad_agent/torture \
    ${PYTHON_SITEPACKAGES_DIR}/ipad_agent/fleet \
"
FILES:${PN} += "\
    ${PYTHON_SITEPACKAGES_DIR}/ipad_agent \
    ${datadir}/bash-completion \
    ${datadir}/dbus-1 \
    ${datadir}/fish \
    ${datadir}/polkit-1 \
    ${datadir}/zsh \
    ${nonarch_libdir}/tmpfiles.d \
    ${nonarch_base_libdir}/udev \
    ${nonarch_libdir}/udev \
    ${systemd_system_unitdir} \
"
CONFFILES:${PN} = "${sysconfdir}/ipad-agent/config.toml"

# The parts of Python are those of oe-core, the libraries those of oe-core and meta-python, aiocoap this layer's.
RDEPENDS:${PN} += "\
    python3-aiocoap \
    python3-asyncio \
    python3-codecs \
    python3-core \
    python3-crypt \
    python3-cryptography \
    python3-ctypes \
    python3-datetime \
    python3-difflib \
    python3-email \
    python3-fcntl \
    python3-h11 \
    python3-io \
    python3-json \
    python3-logging \
    python3-math \
    python3-misc \
    python3-netclient \
    python3-pyopenssl \
    python3-pyserial \
    python3-shell \
    python3-stringold \
    python3-threading \
    python3-tomllib \
    python3-unixadmin \
"
RDEPENDS:${PN}-web += "${PN}"
RDEPENDS:${PN}-lab += "${PN} python3-compression python3-modules"
RRECOMMENDS:${PN} += "python3-dbus-fast"
