"""SageMaker SDK 2: what every serializer sends arrives as it is, and every deserializer reads what comes back."""

import io
import json
import tarfile

import boto3
import numpy as np
import pandas as pd
import sagemaker
import scipy.sparse
from sagemaker import deserializers as read
from sagemaker import serializers as send
from sagemaker.sklearn import SKLearnModel

from hostmaker.session import open_session

SCRIPT = """
import hashlib
import json

def model_fn(model_dir):
    return None

def input_fn(body, content_type):
    data = body.encode() if isinstance(body, str) else bytes(body)
    return {"type": content_type, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}

def predict_fn(seen, model):
    return seen

def output_fn(seen, accept):
    if accept == "application/jsonlines":
        return json.dumps(seen) + "\\n" + json.dumps(seen) + "\\n", accept
    if accept == "x/rows":
        return json.dumps([{"type": seen["type"], "size": seen["size"]}]), "application/json"
    if accept == "text/csv":
        return "type,size\\n%s,%d\\n" % (seen["type"], seen["size"]), accept
    return json.dumps(seen), accept
"""
ROWS = np.array([[1.5, 2.0], [0.0, 4.0]], dtype="float32")

boto3.DEFAULT_SESSION = open_session()
session = sagemaker.Session()
with open("echo.py", "w") as file:
    file.write(SCRIPT)
with tarfile.open("model.tar.gz", "w:gz") as archive:
    archive.addfile(tarfile.TarInfo("nothing"))
model = SKLearnModel(
    model_data=session.upload_data("model.tar.gz", key_prefix="echo"),
    role="SageMaker",
    entry_point="echo.py",
    framework_version="1.2-1",
    sagemaker_session=session,
)
predictor = model.deploy(1, "ml.m5.large", endpoint_name="sdk2-formats", wait=False)
session.wait_for_endpoint("sdk2-formats", poll=1)


def as_bytes(data: object) -> bytes:
    whole = data.read() if hasattr(data, "read") else data
    return whole.encode() if isinstance(whole, str) else bytes(whole)


# What is sent, and each serializer.

predictor.deserializer = read.JSONDeserializer()
for serializer, data in [
    (send.CSVSerializer(), ROWS),
    (send.JSONSerializer(), ROWS.tolist()),
    (send.NumpySerializer(), ROWS),
    (send.JSONLinesSerializer(), [{"a": 1}, {"a": 2}]),
    (send.SparseMatrixSerializer(), scipy.sparse.csr_matrix(ROWS)),
    (send.LibSVMSerializer(), "1 1:1.5 2:2.0\n0 2:4.0"),
    (send.IdentitySerializer("application/octet-stream"), bytes(range(256))),
    (send.DataSerializer(), bytes(range(256)) * 1000),
    (send.StringSerializer(), "käse"),
    (sagemaker.amazon.common.RecordSerializer(), ROWS),
]:
    predictor.serializer = serializer
    seen = predictor.predict(data)
    sent = as_bytes(serializer.serialize(data))
    assert seen["type"] == serializer.CONTENT_TYPE, (serializer, seen)
    if not isinstance(serializer, send.SparseMatrixSerializer):  # a zip archive, with the time in it
        import hashlib

        assert seen["sha256"] == hashlib.sha256(sent).hexdigest(), (serializer, seen)
    assert seen["size"] == len(sent), (serializer, seen, len(sent))

# What comes back, and each deserializer.

predictor.serializer = send.CSVSerializer()
predictor.deserializer = read.StringDeserializer(accept="application/json")
assert json.loads(predictor.predict("1,2"))["size"] == 3
predictor.deserializer = read.BytesDeserializer(accept="application/json")
assert json.loads(predictor.predict("1,2"))["size"] == 3
predictor.deserializer = read.StreamDeserializer(accept="application/json")
stream, content_type = predictor.predict("1,2")
assert (json.load(io.BytesIO(stream.read()))["size"], content_type) == (3, "application/json")
predictor.deserializer = read.CSVDeserializer()
assert predictor.predict("1,2") == [["type", "size"], ["text/csv", "3"]]
predictor.deserializer = read.PandasDeserializer(accept="text/csv")
try:
    predictor.predict("1,2")
except ValueError as error:  # so it is with the image, too: Flask adds the charset
    assert "cannot read content type text/csv; charset=utf-8" in str(error), error
else:
    raise AssertionError("the charset is missing")
predictor.deserializer = read.PandasDeserializer(accept="x/rows")
expected = pd.DataFrame([{"type": "text/csv", "size": 3}])
pd.testing.assert_frame_equal(predictor.predict("1,2"), expected)
predictor.deserializer = read.JSONLinesDeserializer()
assert [each["size"] for each in predictor.predict("1,2")] == [3, 3]

predictor.delete_model()
predictor.delete_endpoint()
