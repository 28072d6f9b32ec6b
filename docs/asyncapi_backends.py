"""The part of the AsyncAPI document that is about back-ends of kind `amqp`."""

from typing import Final

from adapters.backends.amqp_exchange import APP, NAME, REASON, TEXT, XML, ZIP, Word, dead
from docs.asyncapi_parts import (
    Json,
    document,
    message,
    queue,
    received,
    reference,
    schema,
    sent,
    text,
)
from gateway.config.connections import AmqpBackendSettings
from gateway.formats.submission import ENVELOPE_NAME
from gateway.model.message import SUBMISSION_KEY
from gateway.model.trace_context import TRACEPARENT

_FIELDS: Final = AmqpBackendSettings.model_fields
SUBMISSIONS: Final = str(_FIELDS["submissions"].default)
ANSWERS: Final = str(_FIELDS["answers"].default)
QUESTIONS: Final = "customs.questions"  # the document's own name, since the setting has no default
_KEY: Final = {"pattern": f"^{SUBMISSION_KEY.pattern}$"}


def channels() -> Json:
    return {
        "submissions": queue(SUBMISSIONS, f"Submissions for customs. {_of('submissions')}", ["submission"]),
        "answers": queue(ANSWERS, f"What customs says. {_of('answers')}", ["answer"]),
        "answers-dead": queue(
            dead(ANSWERS),
            "Answers that are empty or larger than any document that the gateway reads, with the reason.",
            ["answer-put-aside"],
        ),
        "questions": queue(QUESTIONS, f"Whether customs has a submission. {_of('questions')}", ["question"]),
        "words": {
            "address": None,
            "description": "The queue that a question names in `reply_to` (direct reply-to).",
            "messages": {"word": reference("components", "messages", "word")},
        },
    }


def operations() -> Json:
    return {
        "submit": sent(
            "submissions",
            ["submission"],
            "Under one key as often as it takes until the broker confirms it: customs sees to it that a "
            "second one under the same key has no second effect.",
        ),
        "hear": received(
            "answers", ["answer"], "Acknowledged after the commit that made the answer durable here."
        ),
        "put-aside-answer": sent("answers-dead", ["answer-put-aside"], "Before the answer is acknowledged."),
        "ask": sent(
            "questions",
            ["question"],
            "After a submission whose outcome is not known, before it is sent again.",
            reply={
                "address": {"location": "$message.header#/reply_to"},
                "channel": reference("channels", "words"),
                "messages": [reference("channels", "words", "messages", "word")],
            },
        ),
    }


def messages() -> Json:
    key = text("The key of the submission: the same however often it is sent.", **_KEY)
    about = text("The key of the submission that this answers, if one is known.", **_KEY)
    name = schema([], **{NAME: text("File name under which the answer is relayed.", maxLength=200)})
    return {
        "submission": message(
            "A declaration for customs.",
            ZIP,
            document(
                f"A zip: {ENVELOPE_NAME} (signed), the package byte for byte as it was sent, enclosures."
            ),
            schema(
                ["message_id", "correlation_id"],
                message_id=key,
                correlation_id=key,
                content_type=text("What the body is.", const=ZIP),
                app_id=text("Who sends it.", const=APP),
            ),
            schema([], **{TRACEPARENT: text("The trace of the declaration (W3C Trace Context).")}),
        ),
        "answer": message(
            "What customs says.",
            XML,
            document("One XML document: DecImportResponse, DEC_RESULT, or what the message type names."),
            schema([], message_id=text("The same where it is sent again."), correlation_id=about),
            name,
        ),
        "answer-put-aside": message(
            "An answer that cannot be used.",
            XML,
            document("As it came."),
            schema([], message_id=text("As it came."), correlation_id=about),
            schema([REASON], **{REASON: text("Why."), NAME: text("As it came.")}),
        ),
        "question": message(
            "Whether customs has the submission with this key.",
            TEXT,
            text("The key.", **_KEY),
            schema(
                ["correlation_id", "reply_to"],
                correlation_id=text("To be repeated in the word that answers it."),
                reply_to=text("The queue for the word."),
            ),
            schema([]),
        ),
        "word": message(
            "The answer to a question.",
            TEXT,
            text("The word.", enum=[each.value for each in Word]),
            schema(["correlation_id"], correlation_id=text("That of the question.")),
            schema([]),
        ),
    }


def _of(setting: str) -> str:
    """The sentence that tells which setting names the queue."""
    return f"Named by `backend.NAME.{setting}`: {_FIELDS[setting].description}."
