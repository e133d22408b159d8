"""Generates what src/qmq/wire takes from proto/q.proto: proto.py DIRECTORY.

Writes q_pb2.py and q_pb2.pyi.
"""

import sys
from pathlib import Path

import google.rpc
import grpc_tools
from grpc_tools import protoc

PROTO = Path(__file__).parent.parent / "proto"
#: google/protobuf/*.proto, which come with the compiler.
PROTOBUF = Path(grpc_tools.__file__).parent / "_proto"
#: google/api/*.proto and google/rpc/*.proto, from googleapis-common-protos.
GOOGLEAPIS = Path(next(iter(google.rpc.__path__))).parent.parent


def compile_protos(*arguments: str) -> None:
    """Run the protobuf compiler, and end the program if it fails."""
    includes = [f"--proto_path={path}" for path in (PROTO, PROTOBUF, GOOGLEAPIS)]
    status = protoc.main(["protoc", *includes, *arguments])
    if status:
        sys.exit(status)


def main(directory: str) -> None:
    """Write the generated files into the directory."""
    compile_protos(f"--python_out={directory}", f"--pyi_out={directory}", "q.proto")


if __name__ == "__main__":
    main(*sys.argv[1:])
