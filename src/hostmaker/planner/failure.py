"""Writes a FailureReason: AWS's sentence, which clients match, then the cause, then the evidence."""

from __future__ import annotations

from hostmaker.domain.fleet import FailureKind, InstanceFailure

LIMIT = 1024

SENTENCES = {
    FailureKind.PING: "The primary container for production variant {variant} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint.",
    FailureKind.IMAGE: "Please make sure all images included in the model for the production variant {variant} exist, "
    "and that the execution role used to create the model has permissions to access them.",
    FailureKind.DATA: "Failed to download model data",
    FailureKind.CAPACITY: "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity "
    "error. Please retry using a different ML instance type.",
}

NOT_EXTRACTED = "Failed to extract model data archive"  # the other of the service's sentences about model data


def failure_reason(variant: str, failure: InstanceFailure) -> str:
    """Give the FailureReason for an instance of `variant`: at most 1,024 characters, the last log lines kept.

    Source: sentences as clients have seen them from the service.
    """
    sentence = SENTENCES[failure.kind].format(variant=variant)
    told = failure.cause if failure.cause.startswith((sentence, NOT_EXTRACTED)) else f"{sentence} {failure.cause}"
    if not failure.log_tail:
        return cut(told)
    head = f"{told} Last log lines: "
    room = LIMIT - len(head)
    tail = " | ".join(line.strip() for line in failure.log_tail if line.strip())
    if room < 40:
        return cut(told)
    return head + (tail if len(tail) <= room else "..." + tail[len(tail) - room + 3 :])


def cut(text: str) -> str:
    """Give the text within the length that a FailureReason may have."""
    return text if len(text) <= LIMIT else text[: LIMIT - 3] + "..."
