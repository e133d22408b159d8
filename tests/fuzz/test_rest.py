"""REST as the OpenAPI document has it, and against it: by schemathesis, without its plugin."""

import json
from importlib.resources import files
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.acceptance.running import RunningQ
from tests.fuzz.conftest import EXAMPLES

#: Seconds after which an answer is missing.
_TIMEOUT_S: Final = 20.0


def cases() -> st.SearchStrategy[Any]:
    """Return requests for any operation of the document: such as it allows, and others."""
    import schemathesis  # noqa: PLC0415 - Every process that tests would load it.
    from schemathesis.core.result import Ok  # noqa: PLC0415
    from schemathesis.generation import GenerationMode  # noqa: PLC0415

    text = files("qmq.wire").joinpath("openapi.json").read_text(encoding="utf-8")
    found = schemathesis.openapi.from_dict(json.loads(text)).get_all_operations()
    operations = st.sampled_from([each.ok() for each in found if isinstance(each, Ok)])
    return st.tuples(operations, st.sampled_from(GenerationMode)).flatmap(
        lambda drawn: drawn[0].as_strategy(generation_mode=drawn[1])
    )


@settings(settings.get_profile("fuzz"), max_examples=EXAMPLES // 2)
@given(case=st.deferred(cases))
def test_no_request_is_a_fault(
    fuzzed_q: RunningQ,
    case: Any,  # noqa: ANN401 - The library's types are its own affair.
) -> None:
    """What the document allows, and what it does not, is answered without a fault of q's."""
    # Nothing here waits for a message.
    for part in (case.query, case.body):
        if isinstance(part, dict):
            part.pop("wait", None)

    reply = case.call(base_url=f"http://{fuzzed_q.address}", timeout=_TIMEOUT_S)

    assert reply.status_code < 500, (reply.status_code, reply.text)
    if reply.status_code >= 400:
        assert {"code", "message"} <= reply.json().keys()
