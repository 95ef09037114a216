"""The wire format: AWS JSON 1.1, checked in both directions against botocore's own service model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

from autoscaler.demo.ecs.model import ApiError

CONTENT_TYPE = "application/x-amz-json-1.1"
_SERVICES = {
    "AmazonEC2ContainerServiceV20141113": ("ecs", "ecs"),
    "AnyScaleFrontendService": ("application-autoscaling", "application-autoscaling"),
}
"""`X-Amz-Target`'s first half -> botocore's service name, IAM's prefix."""


@cache
def _operation(target: str) -> tuple[OperationModel, str]:
    prefix, _, name = target.partition(".")
    if prefix not in _SERVICES:
        raise ApiError("UnknownOperationException", f"no such service: {prefix}")
    service, iam_prefix = _SERVICES[prefix]
    # Not through a session: that would read the AWS configuration of whoever runs this.
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    if name not in model.operation_names:
        raise ApiError("UnknownOperationException", f"no such operation: {name}")
    return model.operation_model(name), iam_prefix


def iam_action(target: str) -> str:
    """The IAM action of an `X-Amz-Target`.  Raises `ApiError`."""
    model, iam_prefix = _operation(target)
    return f"{iam_prefix}:{model.name}"


def decoded(target: str, body: bytes) -> dict[str, Any]:
    """The request.  Raises `ApiError` if it is not one by the model."""
    try:
        request = json.loads(body)
    except ValueError:
        raise ApiError("SerializationException", "the body is not JSON") from None
    problems = _problems(request, _operation(target)[0].input_shape)
    if problems:
        raise ApiError("InvalidParameterException", problems)
    assert isinstance(request, dict)
    return request


def encoded(target: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as plain JSON values.  Raises `AssertionError` if it is none by the model."""
    problems = _problems(answer, _operation(target)[0].output_shape)
    assert not problems, f"{target} would answer what its model forbids: {problems}"
    plain: dict[str, Any] = json.loads(json.dumps(answer, default=_timestamp))
    return plain


def _timestamp(value: object) -> float:
    assert isinstance(value, datetime)
    return value.timestamp()


def _problems(value: Mapping[str, Any], shape: Shape | None) -> str:
    assert shape is not None, "every operation here has an input and an output"
    report = ParamValidator().validate(value, shape)
    return report.generate_report() if report.has_errors() else ""
