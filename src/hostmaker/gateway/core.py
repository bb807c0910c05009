"""Chooses variant and instance, counts, and decides what follows from a failure. No sockets; chance by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, assert_never

from hostmaker.domain.errors import ApiError, InternalFailure, ModelError, ServiceUnavailable, ValidationError
from hostmaker.domain.names import log_group, partition
from hostmaker.gateway.failure import Failure
from hostmaker.gateway.table import CompiledTable, Endpoint, Instance, P, Variant

EXACT_UP_TO = 16  # instances; above, the better of two random ones
MOST_ATTEMPTS = 4
NONE_TRIED: frozenset[str] = frozenset()
SHOWN_CHARACTERS = 1024
KEPT_BYTES = 65536
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Row(Protocol):
    """The counts of this gateway, by slot."""

    def __getitem__(self, slot: int, /) -> int: ...
    def __setitem__(self, slot: int, value: int, /) -> None: ...


class Choice(Generic[P]):
    """Where an invocation goes, and what has been tried for it."""

    attempts = 1
    fresh = False  # the next attempt must use a new connection
    is_exact = False  # of this variant under this config, or not at all
    tried = NONE_TRIED

    def __init__(self, endpoint: Endpoint[P], variant: Variant[P], instance: Instance[P]) -> None:
        self.endpoint = endpoint
        self.variant = variant
        self.instance = instance


class Core(Generic[P]):
    """The decisions of one gateway over the table it serves."""

    def __init__(
        self,
        table: CompiledTable[P],
        row: Row,
        outstanding: Callable[[int], int],
        random: Callable[[], float],
        account: str,
    ) -> None:
        """`row` holds our own counts; `outstanding` sums the counts of a slot over all gateways."""
        self.table = table
        self._row = row
        self.outstanding = outstanding
        self._random = random
        self._account = account

    def find(self, region: str, name: str) -> Endpoint[P]:
        """Give the endpoint of that name, in exact case; raises ValidationError."""
        endpoint = self.table.endpoints.get((region, name))
        if endpoint is None:
            raise ValidationError(
                f"Endpoint {name} of account {self._account} not found.", {"ErrorCode": "NO_SUCH_ENDPOINT"}
            )
        return endpoint

    def begin(self, region: str, name: str, target_variant: str | None = None) -> Choice[P]:
        """Choose for a new invocation, and count it; raises ValidationError and ServiceUnavailable."""
        endpoint = self.table.endpoints.get((region, name)) or self.find(region, name)
        variant = self._variant(endpoint) if target_variant is None else self._named(endpoint, target_variant)
        instances = variant.instances
        if not instances and variant.others:
            # Of a variant in a deployment, whatever serves under the other config goes on.
            variant = next((other for other in variant.others if other.instances), variant)
            instances = variant.instances
        if len(instances) > 1:
            instance: Instance[P] | None = self._one_of(variant, instances)
        else:
            instance = instances[0] if instances else None
        if instance is None:
            raise ServiceUnavailable(
                f"Variant {variant.name} of endpoint {endpoint.name} has no instance in service at the moment. "
                "Try again; `hostmaker status` tells why."
            )
        self._row[instance.slot] += 1
        return Choice(endpoint, variant, instance)

    def begin_exact(self, region: str, name: str, variant: str, config: str) -> Choice[P] | None:
        """Choose for a call of exactly that variant under that config, and count it; None when none serves it."""
        endpoint = self.table.endpoints.get((region, name))
        found = None if endpoint is None else _exact(endpoint, variant, config)
        if endpoint is None or found is None or not found.instances:
            return None
        choice = Choice(endpoint, found, self._one_of(found, found.instances))
        choice.is_exact = True
        self._row[choice.instance.slot] += 1
        return choice

    def is_served(self, choice: Choice[P]) -> bool:
        """Tell whether the newest table has an instance of the choice's variant under its config."""
        endpoint = self.table.endpoints.get((choice.endpoint.region, choice.endpoint.name))
        found = None if endpoint is None else _exact(endpoint, choice.variant.name, choice.variant.config)
        return found is not None and bool(found.instances)

    def end(self, choice: Choice[P]) -> None:
        """Count an invocation no longer: it was answered, has failed, or its caller is gone."""
        self._row[choice.instance.slot] -= 1

    def retry(self, choice: Choice[P], failure: Failure) -> bool:
        """Say whether to try again, with `choice` changed to where; the counts go along.

        1. Refused: another instance of the variant, while there is one that was not tried.
        2. A reused connection closed before any byte of the answer: once more, on a new connection.
        3. Everything else has, or may have, reached the model: never.
        """
        if choice.attempts >= MOST_ATTEMPTS:
            return False
        if failure is Failure.STALE and not choice.fresh:
            choice.fresh = True
            choice.attempts += 1
            return True
        if failure is not Failure.REFUSED:
            return False
        choice.tried |= {choice.instance.ident}
        variant = self._current(choice)
        others = [each for each in variant.instances if each.ident not in choice.tried] if variant is not None else []
        if variant is None or not others:
            return False
        other = self._one_of(variant, others)
        self._row[choice.instance.slot] -= 1
        self._row[other.slot] += 1
        choice.instance = other
        choice.attempts += 1
        return True

    def failed(self, choice: Choice[P], failure: Failure, detail: str) -> ApiError:
        """Give the error for an invocation whose last attempt has failed."""
        match failure:
            case Failure.REFUSED:
                return ServiceUnavailable(
                    f"No instance of variant {choice.variant.name} takes connections at the moment ({detail}). "
                    "Try again."
                )
            case Failure.TIMED_OUT:
                return self._model_error(choice, 0, TIMED_OUT.encode(), "server error (0)")
            case Failure.TOO_LARGE:
                told = "Received client error (413) from primary and could not load the entire response body."
                return self._model_error(choice, 413, b"", "", told)
            case Failure.HEADERS_TOO_LARGE:
                told = (
                    "Response received from the primary container has headers with length greater than 4096 bytes. "
                    "Reduce the length of the headers and try again."
                )
                return self._model_error(choice, 0, b"", "", told)
            case Failure.NO_ROOM:
                return ServiceUnavailable("The server holds as many bytes of answers as it may. Try again.")
            case Failure.OURS:
                return InternalFailure("The invocation failed by a fault of the server; its log has the traceback.")
            case Failure.STALE | Failure.BROKEN:
                return self._model_error(choice, 0, detail.encode(), "server error (0)")
            case _:
                assert_never(failure)

    def model_error(self, choice: Choice[P], status: int, body: bytes) -> ApiError:
        """Give the ModelError for an answer that is not 2xx."""
        word = "client error" if 400 <= status < 500 else "server error"
        return self._model_error(choice, status, body, f"{word} ({status})")

    def _model_error(self, choice: Choice[P], status: int, body: bytes, what: str, told: str | None = None) -> ApiError:
        region, group = choice.endpoint.region, log_group(choice.endpoint.name)
        text = body[:KEPT_BYTES].decode(errors="replace")
        console = (
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group}"
        )
        if told is None:
            told = f'Received {what} from primary with message "{text[:SHOWN_CHARACTERS]}".'
        is_client = 400 <= status < 500
        return ModelError(
            f"{told} See {console} in account {self._account} for more information.",
            {
                "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if is_client else "INTERNAL_FAILURE_FROM_MODEL",
                "LogStreamArn": f"arn:{partition(region)}:logs:{region}:{self._account}:log-group:{group}",
                "OriginalMessage": text,
                "OriginalStatusCode": status,
            },
        )

    def _variant(self, endpoint: Endpoint[P]) -> Variant[P]:
        variants = endpoint.variants
        if len(variants) == 1 and endpoint.weight > 0:
            return variants[0]
        if endpoint.weight <= 0:
            raise ValidationError(
                f"All production variants of endpoint {endpoint.name} have weight 0. Name one with TargetVariant."
            )
        at = self._random() * endpoint.weight
        for variant in variants:
            if at < variant.up_to:
                return variant
        # `at` was rounded up to the whole: the last that has any weight at all.
        return next(v for v in reversed(variants) if v.up_to >= endpoint.weight)

    def _one_of(self, variant: Variant[P], instances: Sequence[Instance[P]]) -> Instance[P]:
        """Give the one with the fewest requests inside it, over all gateways, ties at random; or any."""
        if not variant.is_least_outstanding:
            return self._any(instances)
        if len(instances) > EXACT_UP_TO:
            one = self._any(instances)
            instances = (one, self._any([instance for instance in instances if instance is not one]))
        outstanding, least = self.outstanding, -1
        for instance in instances:
            load = outstanding(instance.slot)
            if load < least or least < 0:
                least, best = load, [instance]
            elif load == least:
                best.append(instance)
        return best[0] if len(best) == 1 else self._any(best)

    def _any(self, instances: Sequence[Instance[P]]) -> Instance[P]:
        return instances[min(int(self._random() * len(instances)), len(instances) - 1)]

    def _current(self, choice: Choice[P]) -> Variant[P] | None:
        """Give the variant as the newest table has it: a retry must not go where the instance has been withdrawn."""
        endpoint = self.table.endpoints.get((choice.endpoint.region, choice.endpoint.name))
        found = None if endpoint is None else _exact(endpoint, choice.variant.name, choice.variant.config)
        if found is not None or choice.is_exact:
            return found
        of_name = [each for each in endpoint.variants if each.name == choice.variant.name] if endpoint else []
        return of_name[0] if of_name else choice.variant

    def _named(self, endpoint: Endpoint[P], name: str) -> Variant[P]:
        """Give the variant of that name; under which config, by their shares."""
        for variant in endpoint.variants:
            if variant.name == name:
                return self._by_share(variant) if variant.others else variant
        raise ValidationError(f"Variant {name} not found for endpoint {endpoint.name}.")

    def _by_share(self, variant: Variant[P]) -> Variant[P]:
        at, routes = self._random(), (variant, *variant.others)
        for each in routes:
            if at < each.share:
                return each
            at -= each.share
        return next(each for each in reversed(routes) if each.share)  # `at` was rounded up to the whole


def _exact(endpoint: Endpoint[P], variant: str, config: str) -> Variant[P] | None:
    """Give a variant under one config."""
    return next((each for each in endpoint.variants if each.name == variant and each.config == config), None)
