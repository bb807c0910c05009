"""Trains a classifier of irises and packs it as SageMaker expects: model.tar.gz with the model and code/inference.py.

    python train.py [DIRECTORY]

What is saved are the numbers that the training found, not a pickle. A pickle is good only for the scikit-learn that
wrote it, and the image decides which scikit-learn serves; the numbers are good for any.
"""

import io
import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def main(target: Path) -> None:
    """Write model.tar.gz, and test.json: flowers that the model has not seen, with what they are."""
    target.mkdir(parents=True, exist_ok=True)
    iris = load_iris()
    names = np.asarray(iris.target_names, dtype=str)[iris.target]
    seen, unseen, seen_names, unseen_names = train_test_split(
        iris.data, names, test_size=0.2, random_state=7, stratify=names
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(seen, seen_names)

    numbers = io.BytesIO()
    scaler, classifier = model[0], model[1]
    np.savez(
        numbers,
        mean=scaler.mean_,
        scale=scaler.scale_,
        coef=classifier.coef_,
        intercept=classifier.intercept_,
        classes=classifier.classes_.astype(str),
    )
    with tarfile.open(target / "model.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("model.npz")
        entry.size = numbers.tell()
        numbers.seek(0)
        archive.addfile(entry, numbers)
        archive.add(HERE / "code" / "inference.py", "code/inference.py")

    (target / "test.json").write_text(json.dumps({"rows": unseen.tolist(), "names": unseen_names.tolist()}))
    right = model.score(unseen, unseen_names)
    print(f"trained on {len(seen)} flowers; right about {right:.0%} of {len(unseen)} others")
    print(f"wrote {target / 'model.tar.gz'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "build")
