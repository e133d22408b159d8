"""How the client's gRPC channels are set up, whichever kind they are."""

from typing import Final

from qmq.wire import q_pb2

#: What the path of each method begins with.
SERVICE_PATH: Final = f"/{q_pb2.DESCRIPTOR.services_by_name['Q'].full_name}/"

#: Milliseconds until looking up the server's name, and then connecting to it, count as
#: failed: a person who asks a server that is not there hears of it within five seconds.
_RESOLVE_TIMEOUT_MS: Final = 2_000
_CONNECT_TIMEOUT_MS: Final = 2_800

#: Milliseconds between attempts to connect to a server that went away.
_RECONNECT_MS_MIN: Final = 100
_RECONNECT_MS_MAX: Final = 1_000

#: Milliseconds without a sign of life after which a waiting client asks for one, and
#: how long it waits for that: so a machine that vanished is noticed.
_KEEPALIVE_MS: Final = 30_000
_KEEPALIVE_TIMEOUT_MS: Final = 10_000

CHANNEL_OPTIONS: Final = (
    # The server bounds what it stores. A second bound here could only lose a message
    # that has been popped already.
    ("grpc.max_receive_message_length", -1),
    ("grpc.dns_ares_query_timeout", _RESOLVE_TIMEOUT_MS),
    # The time that connecting may take; the name is gRPC's.
    ("grpc.min_reconnect_backoff_ms", _CONNECT_TIMEOUT_MS),
    ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS_MIN),
    ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS_MAX),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    # gRPC would send even calls to localhost through the proxy of $http_proxy.
    ("grpc.enable_http_proxy", 0),
    # Channels of one address would share a connection, even with those that a process
    # inherited when it was forked, which are of no use to it.
    ("grpc.use_local_subchannel_pool", 1),
)


def target(address: str) -> str:
    """Return what gRPC calls an address that `parse_address` returned."""
    if "," in address:
        # The first of them that answers is taken, and the next one when that has gone.
        return f"{'ipv6' if address.startswith('[') else 'ipv4'}:{address}"
    # Without the scheme, a host called `unix` or `dns` would be taken for one.
    return f"dns:///{address}"
