"""JSON Web Tokens: Envoy verifies them, and tells the application what they say.

A request passes in any case. If no token, and nothing else, shows who calls, the application
refuses it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from qmq.transport.envoy.replies import JsonObject
from qmq.transport.envoy.tls import ClientTls

#: The header with what a verified token says, base64url of JSON. Envoy removes it from what clients
#: send.
JWT: Final = "x-q-jwt"

#: The names of the ports that such URLs have by themselves.
_PORTS: Final = {"https": 443, "http": 80}

#: Seconds that fetching keys may take, and for which they are used until they are fetched again.
_FETCH_S: Final = 5
_KEPT_S: Final = 300

#: Seconds by which the clocks of q and of an issuer may differ.
_SKEW_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who makes tokens, and how they are known to be theirs."""

    #: As `iss` in the tokens has it.
    issuer: str
    #: Of `aud` in a token, one has to be among these.
    audiences: Sequence[str]
    #: The keys, a JSON Web Key Set; or where they are fetched: https, or http on this machine.
    jwks: str = ""
    jwks_url: str = ""
    #: What the server of that URL is known by: certificates of CAs, PEM.
    jwks_ca: Path | None = None


def jwt(issuers: Sequence[Issuer]) -> JsonObject:
    """Build the filter that verifies the tokens of at least one issuer.

    Tokens of other issuers, faulty ones and expired ones count as none.
    """
    package = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3."
    any_of = [{"provider_name": each.issuer} for each in issuers]
    required = {"requires_any": {"requirements": [*any_of, {"allow_missing_or_failed": {}}]}}
    return {
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": f"{package}JwtAuthentication",
            "providers": {each.issuer: _provider(each) for each in issuers},
            "rules": [{"match": {"prefix": "/"}, "requires": required}],
        },
    }


def clusters(issuers: Sequence[Issuer]) -> list[JsonObject]:
    """Build the clusters from which keys are fetched."""
    return [_cluster(each) for each in issuers if each.jwks_url]


def _provider(issuer: Issuer) -> JsonObject:
    keys: JsonObject = {"local_jwks": {"inline_string": issuer.jwks}}
    if issuer.jwks_url:
        uri = {
            "uri": issuer.jwks_url,
            "cluster": _cluster_name(issuer),
            "timeout": f"{_FETCH_S}s",
        }
        # q starts without its issuers, too, and knows nobody by their tokens until they are there.
        fetch = {"fast_listener": True}
        again = {"cache_duration": f"{_KEPT_S}s"}
        keys = {"remote_jwks": {"http_uri": uri, "async_fetch": fetch, **again}}
    return {
        "issuer": issuer.issuer,
        "audiences": list(issuer.audiences),
        **keys,
        # Else one in a query would do as well, and stand in logs.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        # In a cluster the leader verifies it once more.
        "forward": True,
        "forward_payload_header": JWT,
        "require_expiration": True,
        "clock_skew_seconds": _SKEW_S,
    }


def _cluster_name(issuer: Issuer) -> str:
    return f"jwks of {issuer.issuer}"


def _cluster(issuer: Issuer) -> JsonObject:
    url = urlsplit(issuer.jwks_url)
    host = url.hostname or ""
    address = {"address": host, "port_value": url.port or _PORTS[url.scheme]}
    name = _cluster_name(issuer)
    endpoint = {"endpoint": {"address": {"socket_address": address}}}
    cluster: JsonObject = {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "ALL",
        "connect_timeout": f"{_FETCH_S}s",
        "wait_for_warm_on_init": False,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    if url.scheme == "https":
        assert issuer.jwks_ca
        cluster["transport_socket"] = ClientTls(ca=issuer.jwks_ca).transport_socket(host=host)
    return cluster
