"""The HTTP filters that q and qrest are put together from."""

import base64
import json
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2

from qmq.transport.envoy.replies import NOT_ASCII_PATH, JsonObject
from qmq.transport.envoy.strict import strict_lua
from qmq.transport.rest import ROUTES
from qmq.wire import q_pb2

_PACKAGE: Final = "type.googleapis.com/envoy.extensions.filters.http."

_UNLESS_SENT_ON: Final = "unless_sent_on"


def grpc_web() -> JsonObject:
    """Build the filter that makes gRPC-Web calls gRPC calls."""
    return _filter("envoy.filters.http.grpc_web", "grpc_web.v3.GrpcWeb")


def cors() -> JsonObject:
    """Build the filter that answers as a route's CORS policy says."""
    return _filter("envoy.filters.http.cors", "cors.v3.Cors")


def every_origin() -> JsonObject:
    """Build the CORS policy that lets pages of every origin use the API."""
    return {
        "@type": f"{_PACKAGE}cors.v3.CorsPolicy",
        "allow_origin_string_match": [{"safe_regex": {"regex": ".*"}}],
        "allow_methods": "GET, POST, PUT, PATCH, DELETE",
        "allow_headers": "*",
        "expose_headers": "grpc-status, grpc-message, grpc-status-details-bin",
    }


def vary_by_origin() -> JsonObject:
    """Build the filter that tells caches that an answer depends on the origin."""
    vary = {"append": {"header": {"key": "vary", "value": "Origin"}}}
    return _filter(
        "envoy.filters.http.header_mutation",
        "header_mutation.v3.HeaderMutation",
        mutations={"response_mutations": [vary]},
    )


def router() -> JsonObject:
    """Build the filter that ends a chain by sending the request to a server."""
    return _filter("envoy.filters.http.router", "router.v3.Router", suppress_envoy_headers=True)


def strict_rest(body_bytes_max: int, *, for_every_site: bool) -> JsonObject:
    """Build the filter that refuses REST requests the transcoder would bend; see strict.lua."""
    source = strict_lua(ROUTES, body_bytes_max, for_every_site=for_every_site)
    # gRPC calls are the hot path: they do not even enter the filter.
    return unless_grpc(
        _filter(
            "envoy.filters.http.lua",
            "lua.v3.Lua",
            default_source_code={"inline_string": source},
        )
    )


def unless_grpc(http_filter: JsonObject) -> JsonObject:
    """Wrap a filter so that gRPC calls skip it."""
    return _matched(f"{http_filter['name']}.unless_grpc", http_filter, _skip_grpc())


def unless_sent_on(http_filter: JsonObject) -> JsonObject:
    """Wrap a filter so that routes can let gRPC calls skip it; see `pass_by`."""
    return _matched(_UNLESS_SENT_ON, http_filter, {})


def pass_by() -> JsonObject:
    """Build what lets the gRPC calls of a route skip the filter made by `unless_sent_on`."""
    package = "type.googleapis.com/envoy.extensions.common.matching.v3."
    per_route = {"@type": f"{package}ExtensionWithMatcherPerRoute", "xds_matcher": _skip_grpc()}
    return {_UNLESS_SENT_ON: per_route}


def _matched(name: str, http_filter: JsonObject, matcher: JsonObject) -> JsonObject:
    package = "type.googleapis.com/envoy.extensions.common.matching.v3."
    return {
        "name": name,
        "typed_config": {
            "@type": f"{package}ExtensionWithMatcher",
            "extension_config": http_filter,
            "xds_matcher": matcher,
        },
    }


def _skip_grpc() -> JsonObject:
    """Build the matcher that lets gRPC calls skip the filter it belongs to."""
    content_type = {
        "name": "content-type",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
            "header_name": "content-type",
        },
    }
    skip = {
        "name": "skip",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3"
            ".SkipFilter"
        },
    }
    return {
        "matcher_tree": {
            "input": content_type,
            "prefix_match_map": {"map": {"application/grpc": {"action": skip}}},
        }
    }


def transcoder(*, request_body_bytes_max: int, response_body_bytes_max: int) -> JsonObject:
    """Build the filter that makes REST requests gRPC calls, and their replies JSON."""
    return _filter(
        "envoy.filters.http.grpc_json_transcoder",
        "grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor_bin=base64.b64encode(_descriptors().SerializeToString()).decode(),
        services=[q_pb2.DESCRIPTOR.services_by_name["Q"].full_name],
        convert_grpc_status=True,
        print_options={"preserve_proto_field_names": True},
        request_validation_options={
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        # A space, as those write it in a query who encode it as HTML has it.
        query_param_unescape_plus=True,
        max_request_body_size=request_body_bytes_max,
        max_response_body_size=response_body_bytes_max,
    )


def text_paths() -> JsonObject:
    """Build the filter that refuses paths which an application could not read as text.

    pyvoy would fail on one that is not UTF-8 and leave the request without an answer. All
    paths of q are ASCII, so any escape beyond that is refused; `replies` says how.
    """
    path = {"name": ":path", "string_match": {"safe_regex": {"regex": NOT_ASCII_PATH}}}
    policy = {"permissions": [{"header": path}], "principals": [{"any": True}]}
    return _filter(
        "envoy.filters.http.rbac",
        "rbac.v3.RBAC",
        rules={"action": "DENY", "policies": {"not ASCII": policy}},
    )


def python(app: str, pyvoy_module: str) -> JsonObject:
    """Build the filter that ends a chain: an ASGI application, as "module:attribute"."""
    return _filter(
        "pyvoy",
        "dynamic_modules.v3.DynamicModuleFilter",
        dynamic_module_config={"module": {"local": {"filename": pyvoy_module}}},
        filter_name="pyvoy",
        terminal_filter=True,
        filter_config={
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": json.dumps({"app": app, "interface": "asgi", "root_path": ""}),
        },
    )


def _filter(name: str, type_name: str, **fields: object) -> JsonObject:
    return {"name": name, "typed_config": {"@type": _PACKAGE + type_name, **fields}}


def _descriptors() -> FileDescriptorSet:
    """Describe the API, and the details that errors may carry."""
    found: dict[str, FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        if file.name in found:
            return
        for dependency in file.dependencies:
            add(dependency)
        found[file.name] = FileDescriptorProto()
        file.CopyToProto(found[file.name])

    for module in (q_pb2, status_pb2, error_details_pb2):
        add(module.DESCRIPTOR)
    return FileDescriptorSet(file=found.values())
