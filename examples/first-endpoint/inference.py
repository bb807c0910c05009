"""What SageMaker's scikit-learn image calls: model_fn loads the model; the image's defaults do the rest.

The default input_fn reads CSV, JSON and npy into an array, predict_fn calls `model.predict`, output_fn writes what was
asked for by Accept.
"""

import os

import joblib


def model_fn(model_dir):
    """Load the classifier that train.py has written."""
    return joblib.load(os.path.join(model_dir, "model.joblib"))
