"""The one exception of the engine: an AWS error code and its message.

Which code a refusal has is decided where it is raised; how it travels is the adapter's business. Codes outside botocore's
model (``ValidationException``, ``SerializationException``) are real ones of the service; ``SandboxNotImplemented`` is ours
and says that the sandbox, not the service, is at its end.
"""

from __future__ import annotations


class ServiceError(Exception):
    """A refusal as the service words it.

    Args:
        code: the error code a client sees, e.g. ``InvalidStateException``.
        message: one sentence or more for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def validation(message: str) -> ServiceError:
    """A request the service finds invalid."""
    return ServiceError("ValidationException", message)


def invalid_args(message: str) -> ServiceError:
    """Arguments that contradict each other or the CA."""
    return ServiceError("InvalidArgsException", message)


def invalid_state(message: str) -> ServiceError:
    """A call that the CA's state does not allow."""
    return ServiceError("InvalidStateException", message)


def not_found(message: str) -> ServiceError:
    """No such CA, certificate or serial."""
    return ServiceError("ResourceNotFoundException", message)


def limit_exceeded(limit: int, what: str) -> ServiceError:
    """A quota that is used up: at most ``limit`` of what ``what`` says."""
    return ServiceError("LimitExceededException", f"The quota is used up: at most {limit} {what}")


def in_progress(message: str) -> ServiceError:
    """The answer is not ready; ask again."""
    return ServiceError("RequestInProgressException", message)


def not_implemented(what: str) -> ServiceError:
    """Something AWS Private CA does and the sandbox does not."""
    return ServiceError(
        "SandboxNotImplemented",
        f"the pkiops sandbox does not implement {what}; AWS Private CA does (see docs/sandbox.md)",
    )
