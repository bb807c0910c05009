"""SageMaker SDK 2: a PyTorch model. The client has no PyTorch: the script makes the model where it is served."""

import tarfile

import boto3
import numpy as np
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.pytorch import PyTorchModel
from sagemaker.serializers import JSONSerializer

from hostmaker.session import open_session

SCRIPT = """
import torch

def model_fn(model_dir):
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(0.0)
    return layer.eval()
"""

boto3.DEFAULT_SESSION = open_session()
session = sagemaker.Session()
with open("serve.py", "w") as file:
    file.write(SCRIPT)
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("nothing"))
model = PyTorchModel(
    model_data=session.upload_data("model.tar.gz", key_prefix="pytorch"),
    role="SageMaker",
    entry_point="serve.py",
    image_uri="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.13.0-cpu-py311",
    framework_version="2.13",
    py_version="py311",
    sagemaker_session=session,
)
predictor = model.deploy(1, "ml.m5.large", endpoint_name="sdk2-pytorch", wait=False)
session.wait_for_endpoint("sdk2-pytorch", poll=1)
rows = np.array([[1, 2], [10, 20]], dtype="float32")
assert np.allclose(predictor.predict(rows), [[3.0], [30.0]])
predictor.serializer, predictor.deserializer = JSONSerializer(), JSONDeserializer()
assert np.allclose(predictor.predict(rows.tolist()), [[3.0], [30.0]])
predictor.delete_model()
predictor.delete_endpoint()
