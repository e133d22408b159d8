"""The Envoy configuration of q and qrest, as pure functions that build dicts."""

from qmq.transport.envoy.bootstrap import Process, gateway_bootstrap, server_bootstrap
from qmq.transport.envoy.endpoint import Endpoint
from qmq.transport.envoy.replies import JsonObject

__all__ = ["Endpoint", "JsonObject", "Process", "gateway_bootstrap", "server_bootstrap"]
