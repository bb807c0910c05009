"""What the scikit-learn image calls: `model_fn` once, `predict_fn` for each request.

Reading requests (CSV, JSON, npy) and writing answers is left to the image: there is no `input_fn` and no `output_fn`.
"""

import os

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def model_fn(model_dir):
    """Give the classifier again, from the numbers that the training found."""
    numbers = np.load(os.path.join(model_dir, "model.npz"))
    scaler, classifier = StandardScaler(), LogisticRegression()
    scaler.mean_, scaler.scale_, scaler.var_ = numbers["mean"], numbers["scale"], numbers["scale"] ** 2
    classifier.coef_, classifier.intercept_ = numbers["coef"], numbers["intercept"]
    classifier.classes_ = numbers["classes"]
    scaler.n_features_in_ = classifier.n_features_in_ = len(numbers["mean"])
    return make_pipeline(scaler, classifier)


def predict_fn(data, model):
    """Give the name of each flower. A single line of CSV arrives as one dimension, and the model takes two."""
    return model.predict(np.atleast_2d(data))
