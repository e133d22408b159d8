"""The drawing of a message's life shows each step of the table, between states that there are."""

from pathlib import Path
from xml.etree import ElementTree as ET

from qmq.wire import q_pb2 as pb
from scripts.life_diagram import main, steps

SVG = "{http://www.w3.org/2000/svg}"


def test_states_are_those_of_the_api() -> None:
    """What the API calls a state is one of the page, and of those others are none of a queue."""
    states = {name for step in steps() for name in (step.source, step.target)}

    known = {name.lower() for name in dict(pb.BrowseRequest.State.items()) if "UNKNOWN" not in name}
    assert states - {"new", "gone", "dead letter"} == known


def test_each_step_is_drawn_and_told(tmp_path: Path) -> None:
    """A row of the table is an arrow with its text."""
    main(str(tmp_path / "life.svg"))
    drawing = ET.parse(tmp_path / "life.svg")  # noqa: S314 - It is ours.

    texts = {text.text for text in drawing.iter(f"{SVG}text")}
    arrows = [path for path in drawing.iter(f"{SVG}path") if path.get("class") == "e"]
    assert len(arrows) == len(steps()) >= 10
    assert texts >= {event for _, event, _ in steps()}
