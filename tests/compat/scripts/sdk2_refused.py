"""SageMaker SDK 2: what cannot be had is refused by name, at once, and leaves no endpoint behind."""

import tarfile
from collections.abc import Callable

import boto3
import sagemaker
from botocore.exceptions import ClientError
from sagemaker.async_inference import AsyncInferenceConfig
from sagemaker.compute_resource_requirements.resource_requirements import ResourceRequirements
from sagemaker.enums import EndpointType
from sagemaker.model_monitor import DataCaptureConfig
from sagemaker.multidatamodel import MultiDataModel
from sagemaker.pipeline import PipelineModel
from sagemaker.serverless import ServerlessInferenceConfig
from sagemaker.sklearn import SKLearn, SKLearnModel

from hostmaker.session import open_session

boto3.DEFAULT_SESSION = open_session()
session = sagemaker.Session()
with open("serve.py", "w") as file:
    file.write("def model_fn(model_dir):\n    return None\n")
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("nothing"))
uploaded = session.upload_data("model.tar.gz", key_prefix="refused")


def model() -> SKLearnModel:
    return SKLearnModel(
        uploaded, "SageMaker", entry_point="serve.py", framework_version="1.2-1", sagemaker_session=session
    )


def refused(words: str, deploy: Callable[[], object]) -> None:
    try:
        deploy()
    except ClientError as error:
        assert words.lower() in str(error).lower(), error
    else:
        raise AssertionError(f"{words} was not refused")


bucket = session.default_bucket()
where = {"instance_type": "ml.m5.large", "initial_instance_count": 1, "wait": False}
refused("ServerlessConfig", lambda: model().deploy(serverless_inference_config=ServerlessInferenceConfig()))
later = AsyncInferenceConfig(output_path=f"s3://{bucket}/answers")
refused("AsyncInferenceConfig", lambda: model().deploy(**where, async_inference_config=later))
part = ResourceRequirements(requests={"memory": 1024, "copies": 1})
in_parts = {"endpoint_type": EndpointType.INFERENCE_COMPONENT_BASED, "resources": part, "endpoint_name": "sdk2-parts"}
refused("inference components", lambda: model().deploy(**where, **in_parts))
capture = DataCaptureConfig(enable_capture=True, destination_s3_uri=f"s3://{bucket}/seen", sagemaker_session=session)
refused("DataCaptureConfig", lambda: model().deploy(**where, data_capture_config=capture))
many = MultiDataModel("many", f"s3://{bucket}/models/", model=model(), sagemaker_session=session)
refused("multi-model", lambda: many.deploy(1, "ml.m5.large"))
line = PipelineModel([model(), model()], "SageMaker", sagemaker_session=session)
refused("Containers", lambda: line.deploy(1, "ml.m5.large"))
estimator = SKLearn("serve.py", "1.2-1", role="SageMaker", instance_type="ml.m5.large", sagemaker_session=session)
refused("CreateTrainingJob", lambda: estimator.fit(wait=False))
transformer = model().transformer(1, "ml.m5.large")
refused("CreateTransformJob", lambda: transformer.transform(f"s3://{bucket}/rows", wait=False))
assert session.sagemaker_client.list_endpoints(NameContains="sagemaker-scikit-learn")["Endpoints"] == []
