"""The listeners for packages that an eIM pushes, as the configuration wants them. Loaded only where it names one."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial

from ipad_agent.config import Config
from ipad_agent.errors import IpadError
from ipad_agent.inject.listen_place import ListenPlace
from ipad_agent.inject.pushed_packages import OrderTaker, PushedPackages
from ipad_agent.inject.pushing_eim import KnownEim
from ipad_agent.inject.request_limits import Attempts
from ipad_agent.net import CoapsEndpoint, Trust, split_address
from ipad_agent.net.trust.pinned_trust import Pinned
from ipad_agent.site.tunnel_interfaces import why_not_closed

from .eim_links import EimLinks, own_certificate


def injection_listeners(config: Config, orders: OrderTaker, links: EimLinks) -> list[Coroutine[object, object, None]]:
    """One to run for every place. Raises ``ConfigError`` when certificate or key cannot be used."""
    inject, attempts = config.inject, Attempts(config.inject.per_minute)
    packages = PushedPackages(orders, partial(_speaks_1_3, config))
    own = own_certificate(inject.certificate, inject.key_file)

    def known() -> list[KnownEim]:
        found: list[KnownEim] = []
        for eim in orders.eims:
            try:
                endpoints = links.endpoints(eim)
            except IpadError:  # a poll says so
                continue
            psk = next((one.psk for one in endpoints if isinstance(one, CoapsEndpoint) and one.psk is not None), None)
            trust = next((one.trust for one in endpoints if one.trust.kind is not Pinned.PSK), Trust.psk())
            found.append(KnownEim(eim.eim_id, endpoints[0].verify_name or endpoints[0].host, trust, psk))
        return found

    wanted: list[Coroutine[object, object, None]] = []
    for text in inject.listen:
        scheme, _, address = text.partition("://")
        host, port = split_address(address)
        assert port is not None  # the configuration wants one
        why_not = (lambda: None) if inject.any_interface else partial(why_not_closed, host)
        place = ListenPlace(scheme, host, port, why_not)
        if scheme == "https":
            from ipad_agent.inject.https_listener import HttpsListener

            assert own is not None
            admin = config.https.admin_protocol
            wanted.append(HttpsListener(place, own, known, packages, inject.path, admin, attempts).run())
        else:
            from ipad_agent.inject.coaps_listener import CoapsListener

            wanted.append(CoapsListener(place, own, known, packages, inject.path, attempts).run())
    return wanted


def _speaks_1_3(config: Config, eim_id: str) -> bool:
    chosen = config.eim_named(eim_id)
    return chosen is not None and chosen.dialect == "1.3"
