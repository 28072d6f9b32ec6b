"""The pieces that an AsyncAPI document of AMQP 0-9-1 is made of."""

from collections.abc import Sequence
from typing import Any, Final

Json = dict[str, Any]
BINDING: Final = "0.3.0"


def queue(name: str, purpose: str, messages: Sequence[str]) -> Json:
    """A durable queue, reached through the default exchange."""
    return {
        "address": name,
        "description": purpose,
        "messages": _messages(messages),
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {"name": name, "durable": True, "exclusive": False, "autoDelete": False},
                "bindingVersion": BINDING,
            }
        },
    }


def exchange(name: str, kind: str, address: str, purpose: str, messages: Sequence[str]) -> Json:
    """A durable exchange; `address` is the routing key, with parameters in braces."""
    return {
        "address": address,
        "description": purpose,
        "messages": _messages(messages),
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": name, "type": kind, "durable": True, "autoDelete": False},
                "bindingVersion": BINDING,
            }
        },
    }


def sent(channel: str, messages: Sequence[str], purpose: str, **more: Any) -> Json:
    """The gateway sends: persistent, mandatory, confirmed."""
    binding = {"deliveryMode": 2, "mandatory": True, "bindingVersion": BINDING}
    return _operation("send", channel, messages, purpose, binding, more)


def received(channel: str, messages: Sequence[str], purpose: str, **more: Any) -> Json:
    """The gateway consumes, and acknowledges."""
    binding = {"ack": True, "bindingVersion": BINDING}
    return _operation("receive", channel, messages, purpose, binding, more)


def message(summary: str, content_type: str, payload: Json, properties: Json, headers: Json) -> Json:
    return {
        "summary": summary,
        "contentType": content_type,
        "payload": payload,
        "headers": headers,
        "correlationId": {"location": "$message.header#/correlation_id"},
        "x-amqp-properties": properties,
    }


def schema(required: Sequence[str], **properties: Json) -> Json:
    made: Json = {"type": "object", "properties": properties}
    return {**made, "required": list(required)} if required else made


def text(description: str, **more: Any) -> Json:
    return {"type": "string", "description": description, **more}


def document(description: str) -> Json:
    """A payload that no JSON schema describes."""
    return {"type": "string", "format": "binary", "description": description}


def reference(*path: str) -> Json:
    return {"$ref": "#/" + "/".join(path)}


def _messages(names: Sequence[str]) -> Json:
    return {name: reference("components", "messages", name) for name in names}


def _operation(
    action: str, channel: str, messages: Sequence[str], purpose: str, binding: Json, more: Json
) -> Json:
    return {
        "action": action,
        "channel": reference("channels", channel),
        "messages": [reference("channels", channel, "messages", name) for name in messages],
        "description": purpose,
        "bindings": {"amqp": binding},
        **more,
    }
