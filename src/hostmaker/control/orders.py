"""What a person orders of a deployment under way: pause, resume, promote, roll back."""

from __future__ import annotations

from dataclasses import replace

from hostmaker.control.services import Services
from hostmaker.domain.deployment import Deployment, Order, OrderKind
from hostmaker.domain.endpoint import Endpoint
from hostmaker.domain.errors import ValidationException


class Orders:
    """Gives orders: they are kept as what is desired, and carried out by the reconciler."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def give(self, region: str, name: str, kind: OrderKind) -> Deployment:
        """Order something of the deployment under way, and give it as it is; raises ValidationException."""
        endpoint = self._services.store.endpoint(region, name)
        if endpoint is None:
            raise ValidationException(f'Could not find endpoint "{name}" in region {region}.')
        deployment = endpoint.recorded.deployment
        if deployment is None or deployment.held or endpoint.recorded.begun != endpoint.desired.number:
            status = endpoint.recorded.status.value
            raise ValidationException(f'Endpoint "{name}" has no deployment under way; its status is {status}.')
        _check(endpoint, deployment, kind)
        desired = endpoint.desired
        order = Order(deployment.number, kind)
        ordered = replace(desired, order=order, generation=desired.generation + 1)
        self._services.store.put_desired(ordered, endpoint.recorded)
        self._services.wake()
        return deployment


def _check(endpoint: Endpoint, deployment: Deployment, kind: OrderKind) -> None:
    """Refuse what cannot be.

    1. Blue is on its way out: the new config is in force. 2. It is on its way back. 3. What was ordered is so already.
    """
    name = endpoint.desired.name
    if deployment.is_through:
        raise ValidationException(
            f'The deployment of endpoint "{name}" has gone through to "{deployment.config}"; what is left is the end '
            "of the old fleet. Update the endpoint again to go back."
        )
    if deployment.cause is not None:
        raise ValidationException(
            f'The deployment of endpoint "{name}" is being rolled back already: {deployment.cause.reason}'
        )
    if kind is OrderKind.PAUSE and deployment.paused is not None:
        raise ValidationException(f'The deployment of endpoint "{name}" is paused already.')
    if kind is OrderKind.RESUME and deployment.paused is None:
        raise ValidationException(f'The deployment of endpoint "{name}" is not paused.')
    if kind in (OrderKind.PAUSE, OrderKind.PROMOTE) and deployment.is_promoted:
        raise ValidationException(f'The deployment of endpoint "{name}" is being promoted already.')
