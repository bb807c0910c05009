"""SageMaker SDK 3: what cannot be had is refused by name, at once."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from sagemaker.core import inference_config
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import EndpointConfig, InferenceComponent, Model, TransformJob
from sagemaker.core.shapes import (
    AsyncInferenceConfig,
    AsyncInferenceOutputConfig,
    ContainerDefinition,
    InferenceComponentSpecification,
    ProductionVariant,
    TransformDataSource,
    TransformInput,
    TransformOutput,
    TransformResources,
    TransformS3DataSource,
)
from sagemaker.core.training.configs import SourceCode
from sagemaker.serve.model_builder import ModelBuilder

from hostmaker.session import open_session

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/SageMaker"

boto3.client("s3").create_bucket(Bucket="sdk3-refused")
boto3.client("s3").put_object(Bucket="sdk3-refused", Key="model.tar.gz", Body=b"")
container = ContainerDefinition(image=IMAGE, model_data_url="s3://sdk3-refused/model.tar.gz")
model = Model.create(model_name="sdk3-refused", primary_container=container, execution_role_arn=ROLE)


def refused(words: str, create: Callable[[], object]) -> None:
    try:
        create()
    except ClientError as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"{words} was not refused")


def config(variant: ProductionVariant, **further: object) -> EndpointConfig:
    return EndpointConfig.create(endpoint_config_name="sdk3-refused", production_variants=[variant], **further)


plain = ProductionVariant(
    variant_name="main", model_name="sdk3-refused", instance_type="ml.m5.large", initial_instance_count=1
)
output = AsyncInferenceOutputConfig(s3_output_path="s3://sdk3-refused/answers")
refused(
    "AsyncInferenceConfig", lambda: config(plain, async_inference_config=AsyncInferenceConfig(output_config=output))
)
component = InferenceComponentSpecification(model_name="sdk3-refused")
refused(
    "CreateInferenceComponent",
    lambda: InferenceComponent.create(
        inference_component_name="part", endpoint_name="whole", variant_name="main", specification=component
    ),
)
rows = TransformS3DataSource(s3_data_type="S3Prefix", s3_uri="s3://sdk3-refused/rows")
refused(
    "CreateTransformJob",
    lambda: TransformJob.create(
        transform_job_name="job",
        model_name="sdk3-refused",
        transform_input=TransformInput(data_source=TransformDataSource(s3_data_source=rows)),
        transform_output=TransformOutput(s3_output_path="s3://sdk3-refused/answers"),
        transform_resources=TransformResources(instance_type="ml.m5.large", instance_count=1),
    ),
)
model.delete()

# What ModelBuilder takes for `inference_config`.

session = Session(open_session())
Path("code").mkdir()
Path("code/serve.py").write_text("def model_fn(model_dir):\n    return None\n")
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("nothing"))
uploaded = session.upload_data("model.tar.gz", key_prefix="sdk3-refused")
deploy = {"endpoint_name": "sdk3-refused", "initial_instance_count": 1, "wait": False}
for words, wanted in [
    ("ServerlessConfig", inference_config.ServerlessInferenceConfig()),
    ("AsyncInferenceConfig", inference_config.AsyncInferenceConfig()),
    ("inference components", inference_config.ResourceRequirements(requests={"memory": 1024, "copies": 1})),
]:
    builder = ModelBuilder(
        s3_model_data_url=uploaded,
        source_code=SourceCode(source_dir="code", entry_script="serve.py"),
        image_uri=IMAGE,
        role_arn=ROLE,
        instance_type="ml.m5.large",
        sagemaker_session=session,
    )
    built = builder.build()
    refused(words, lambda builder=builder, wanted=wanted: builder.deploy(**deploy, inference_config=wanted))
    built.delete()
