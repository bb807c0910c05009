"""SageMaker SDK 2: XGBoost, with a script and, as the built-in algorithm, without one."""

import tarfile

import boto3
import numpy as np
import sagemaker
import xgboost
from sagemaker.deserializers import CSVDeserializer
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import CSVSerializer
from sagemaker.xgboost import XGBoostModel

from hostmaker.session import open_session

SCRIPT = """
import os
import xgboost

def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "model.json"))
    return booster
"""

boto3.DEFAULT_SESSION = open_session()
session = sagemaker.Session()
rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 10, dtype="float32")
booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, label=rows.sum(axis=1)), num_boost_round=40)
told = booster.predict(xgboost.DMatrix(rows[:4]))
booster.save_model("model.json")
booster.save_model("xgboost-model.ubj")
with open("serve.py", "w") as file:
    file.write(SCRIPT)
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.add("model.json")
    archive.add("xgboost-model.ubj", "xgboost-model")
uploaded = session.upload_data("model.tar.gz", key_prefix="xgboost")


def check(predictor: Predictor) -> None:
    answer = predictor.predict(rows[:4])
    values = [float(each) for row in answer for each in row]
    assert np.allclose(values, told, atol=1e-5), (answer, told)
    predictor.delete_model()
    predictor.delete_endpoint()


scripted = XGBoostModel(
    model_data=uploaded, role="SageMaker", entry_point="serve.py", framework_version="3.0-5", sagemaker_session=session
)
predictor = scripted.deploy(1, "ml.m5.large", CSVSerializer(), CSVDeserializer(), endpoint_name="sdk2-xgb", wait=False)
session.wait_for_endpoint("sdk2-xgb", poll=1)
check(predictor)

image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, "3.0-5")
builtin = Model(image, uploaded, "SageMaker", predictor_cls=Predictor, sagemaker_session=session)
predictor = builtin.deploy(1, "ml.m5.large", CSVSerializer(), CSVDeserializer(), endpoint_name="sdk2-alg", wait=False)
session.wait_for_endpoint("sdk2-alg", poll=1)
check(predictor)
