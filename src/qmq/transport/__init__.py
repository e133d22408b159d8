"""The network side: gRPC over ASGI, what Envoy does around it, errors as statuses."""
