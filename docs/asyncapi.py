"""`docs/asyncapi.json`: messages of the gateway over AMQP, sent and received, as an AsyncAPI 3.0.0 document.

Names, headers, content types and limits come from the code; only the sentences are written here. AsyncAPI has
no place for AMQP's basic properties, so they are in `x-amqp-properties`, as a JSON schema.
"""

import json
from importlib.metadata import version

from docs import asyncapi_backends, asyncapi_channel
from docs.asyncapi_parts import Json


def text() -> str:
    """The text of the document; the same code always gives the same text."""
    sides = (asyncapi_channel, asyncapi_backends)
    told = json.dumps(
        {
            "asyncapi": "3.0.0",
            "info": _info(),
            "defaultContentType": "application/xml",
            "servers": _servers(),
            "channels": {name: each for side in sides for name, each in side.channels().items()},
            "operations": {name: each for side in sides for name, each in side.operations().items()},
            "components": {
                "messages": {name: each for side in sides for name, each in side.messages().items()},
                "securitySchemes": {
                    "login": {
                        "type": "userPassword",
                        "description": "PLAIN, inside TLS but on the machine itself",
                    },
                    "certificate": {
                        "type": "X509",
                        "description": "the client's certificate, where the broker asks",
                    },
                },
            },
        },
        ensure_ascii=False,
        indent=2,
    )
    return f"{told}\n"


def _info() -> Json:
    return {
        "title": "Customs EDI gateway over AMQP 0-9-1",
        "version": version("customs-edi-gateway"),
        "description": "Seen from the gateway: what it receives from platforms and from customs, and what it "
        "sends them. Messages are persistent and publishes are confirmed.",
        "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
    }


def _servers() -> Json:
    return {
        "broker": {
            "host": "localhost:5671",
            "protocol": "amqps",
            "protocolVersion": "0.9.1",
            "description": "the RabbitMQ broker that the gateway and the other side log in at",
            "security": [
                {"$ref": "#/components/securitySchemes/login"},
                {"$ref": "#/components/securitySchemes/certificate"},
            ],
        }
    }
