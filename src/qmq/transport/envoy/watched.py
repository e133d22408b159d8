"""Files that Envoy watches, for what it is told while it runs."""

import json
from pathlib import Path

from qmq.transport.envoy.replies import JsonObject


def write(path: Path, resource: JsonObject) -> None:
    """Put a resource into a file, in one step, which is how Envoy notices."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"resources": [resource]}), encoding="utf-8")
    new.rename(path)


def source(path: Path) -> JsonObject:
    """Build the source of a resource that is in a file."""
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}
