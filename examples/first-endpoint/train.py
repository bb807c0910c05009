"""Trains a classifier on the breast-cancer data that ships with scikit-learn, and writes model.joblib and sample.csv.

    python train.py DIRECTORY

Run it with the release of scikit-learn that will serve the model (the image's tag says which): a pickled model belongs
to its release. deploy.py does so.
"""

import sys

import joblib
import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(directory):
    """Train, and say how good it is."""
    data = load_breast_cancer()
    train_x, test_x, train_y, test_y = train_test_split(data.data, data.target, test_size=0.3, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(train_x, train_y)
    joblib.dump(model, directory + "/model.joblib")
    np.savetxt(directory + "/sample.csv", test_x[:8], delimiter=",", fmt="%.5f")
    np.savetxt(directory + "/truth.csv", test_y[:8], fmt="%d")
    accuracy = model.score(test_x, test_y)
    print(f"trained with scikit-learn {sklearn.__version__}: {accuracy:.1%} of the test set are right")


if __name__ == "__main__":
    main(sys.argv[1])
