"""REST as the OpenAPI document has it, and against it: by schemathesis, without its plugin."""

import json
from importlib.resources import files
from typing import Any, Final

import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from tests.acceptance.running import RunningQ
from tests.fuzz.conftest import EXAMPLES

SCHEMA: Final = schemathesis.openapi.from_dict(
    json.loads(files("qmq.wire").joinpath("openapi.json").read_text(encoding="utf-8"))
)
OPERATIONS: Final = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
#: Seconds after which an answer is missing.
_TIMEOUT_S: Final = 20.0


@settings(settings.get_profile("fuzz"), max_examples=EXAMPLES // 2)
@given(operation=st.sampled_from(OPERATIONS), mode=st.sampled_from(GenerationMode), data=st.data())
def test_no_request_is_a_fault(
    fuzzed_q: RunningQ,
    operation: Any,  # noqa: ANN401 - The library's types are its own affair.
    mode: GenerationMode,
    data: st.DataObject,
) -> None:
    """What the document allows, and what it does not, is answered without a fault of q's."""
    case = data.draw(operation.as_strategy(generation_mode=mode))
    # Nothing here waits for a message.
    for part in (case.query, case.body):
        if isinstance(part, dict):
            part.pop("wait", None)

    reply = case.call(base_url=f"http://{fuzzed_q.address}", timeout=_TIMEOUT_S)

    assert reply.status_code < 500, (reply.status_code, reply.text)
    if reply.status_code >= 400:
        assert {"code", "message"} <= reply.json().keys()
