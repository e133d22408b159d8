"""A reply as the JSON that qcli prints."""

import json
import sys

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def write_reply(reply: Message) -> None:
    """Print `reply` on standard output.

    Raises BrokenPipeError if nobody reads it, and click.ClickException for every other
    reason that it cannot be written.
    """
    text = reply_json(reply)
    try:
        sys.stdout.buffer.write(text.encode() + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"cannot write the reply: {error.strerror}"
        raise click.ClickException(message) from error


def reply_json(reply: Message) -> str:
    """Return `reply` as JSON: the proto's names in the proto's order, two spaces deep.

    Empty fields are left out, except that a tag always shows its key and its value.
    """
    fields = MessageToDict(reply, preserving_proto_field_name=True)
    return json.dumps(_with_whole_tags(fields), indent=2, ensure_ascii=False)


def _with_whole_tags(value: object) -> object:
    """Return JSON's `value` with the empty keys and values of its tags filled in."""
    if isinstance(value, list):
        return [_with_whole_tags(item) for item in value]
    if isinstance(value, dict):
        return {
            name: [{"key": "", "value": "", **tag} for tag in inner]
            if name == "tags"
            else _with_whole_tags(inner)
            for name, inner in value.items()
        }
    return value
