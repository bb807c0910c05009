"""Inputs as clients send them: what mutation begins with where random values would rarely pass the first check.

The image has no runtime, so an endpoint that a mutant creates fails before anything is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROLE = "arn:aws:iam::123456789012:role/Fuzz"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/fuzz:1"
MODEL_ARN = "arn:aws:sagemaker:us-east-1:123456789012:model/fuzz-a"
METRIC = {"Namespace": "Fuzz/Space", "MetricName": "Latency", "Dimensions": [{"Name": "Host", "Value": "a"}]}
VARIANT = {
    "VariantName": "AllTraffic",
    "ModelName": "fuzz-a",
    "InitialInstanceCount": 1,
    "InstanceType": "ml.m5.large",
    "InitialVariantWeight": 1.0,
}
ROUTING: Mapping[str, Any] = {
    "Type": "CANARY",
    "WaitIntervalInSeconds": 1,
    "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
}
BLUE_GREEN = {
    "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": ROUTING, "TerminationWaitInSeconds": 1},
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "fuzz-a"}]},
}
ROLLING = {
    "RollingUpdatePolicy": {
        "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        "WaitIntervalInSeconds": 1,
        "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
    }
}
EXPLAINER = {
    "ClarifyExplainerConfig": {
        "EnableExplanations": "`true`",
        "InferenceConfig": {"FeatureTypes": ["numerical", "text"], "FeatureHeaders": ["a", "b"], "LabelIndex": 0},
        "ShapConfig": {"ShapBaselineConfig": {"MimeType": "text/csv", "ShapBaseline": "1,x"}, "NumberOfSamples": 10},
    }
}
QUERIES = [
    {"Id": "m1", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "Sum"}, "ReturnData": False},
    {"Id": "m2", "MetricStat": {"Metric": METRIC, "Period": 60, "Stat": "p99"}, "ReturnData": False},
    {"Id": "e1", "Expression": "IF(FILL(m1, 0) > 5 AND m2 < 3, 100 * m1 / m2, 0)", "Label": "rate"},
]
ALARM = {
    "AlarmName": "fuzz-a",
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}
TIMES = {"StartTime": 1_767_225_600, "EndTime": 1_767_229_200}

SEEDS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "CreateModel": tuple(
        {
            "ModelName": name,
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {"Image": IMAGE, "Environment": {"A": "b"}, "ContainerHostname": "first"},
            "Tags": [{"Key": "team", "Value": "fuzz"}],
        }
        for name in ("fuzz-a", "fuzz-b")
    ),
    "CreateEndpointConfig": (
        {"EndpointConfigName": "fuzz-a", "ProductionVariants": [VARIANT]},
        {"EndpointConfigName": "fuzz-b", "ProductionVariants": [VARIANT, {**VARIANT, "VariantName": "second"}]},
        {"EndpointConfigName": "fuzz-c", "ProductionVariants": [VARIANT], "ExplainerConfig": EXPLAINER},
    ),
    "CreateEndpoint": ({"EndpointName": "fuzz-a", "EndpointConfigName": "fuzz-a"},),
    "UpdateEndpoint": tuple(
        {"EndpointName": "fuzz-a", "EndpointConfigName": "fuzz-b", "DeploymentConfig": policy}
        for policy in (BLUE_GREEN, ROLLING)
    ),
    "UpdateEndpointWeightsAndCapacities": (
        {
            "EndpointName": "fuzz-a",
            "DesiredWeightsAndCapacities": [
                {"VariantName": "AllTraffic", "DesiredWeight": 0.5, "DesiredInstanceCount": 2}
            ],
        },
    ),
    "DeleteModel": ({"ModelName": "fuzz-b"},),
    "AddTags": ({"ResourceArn": MODEL_ARN, "Tags": [{"Key": "a", "Value": "b"}]},),
    "DeleteTags": ({"ResourceArn": MODEL_ARN, "TagKeys": ["a"]},),
    "ListTags": ({"ResourceArn": MODEL_ARN, "MaxResults": 50},),
    "PutMetricData": (
        {
            "Namespace": "Fuzz/Space",
            "MetricData": [
                {"MetricName": "Latency", "Dimensions": METRIC["Dimensions"], "Value": 1.5, "Unit": "Seconds"},
                {"MetricName": "Latency", "Values": [1.0, 2.0], "Counts": [1, 3], "StorageResolution": 1},
                {
                    "MetricName": "Latency",
                    "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2},
                    "Timestamp": TIMES["StartTime"],
                },
            ],
        },
    ),
    "GetMetricStatistics": ({**METRIC, **TIMES, "Period": 60, "Statistics": ["Sum", "Average"]},),
    "GetMetricData": ({**TIMES, "MetricDataQueries": QUERIES, "ScanBy": "TimestampAscending"},),
    "ListMetrics": ({"Namespace": "Fuzz/Space", "Dimensions": [{"Name": "Host"}]},),
    "PutMetricAlarm": (
        {**ALARM, **METRIC, "Period": 60, "Statistic": "Sum"},
        {**ALARM, **METRIC, "Period": 10, "ExtendedStatistic": "p99"},
        {**ALARM, "AlarmName": "fuzz-b", "Metrics": QUERIES},
    ),
    "PutCompositeAlarm": (
        {"AlarmName": "fuzz-c", "AlarmRule": "ALARM(fuzz-a) AND NOT (OK(fuzz-b) OR INSUFFICIENT_DATA(fuzz-b))"},
    ),
    "SetAlarmState": ({"AlarmName": "fuzz-a", "StateValue": "ALARM", "StateReason": "by hand"},),
    "DescribeAlarmHistory": ({"AlarmName": "fuzz-a", "StartDate": TIMES["StartTime"], "MaxRecords": 10},),
    "FilterLogEvents": (
        {"logGroupName": "/aws/sagemaker/Endpoints/fuzz-a", "filterPattern": '?ERROR "a b" -debug', "limit": 100},
        {"logGroupName": "/aws/sagemaker/Endpoints/fuzz-a", "filterPattern": "{ $.status = 5* && $.ms > 1 }"},
    ),
}
