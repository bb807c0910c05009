"""Trains a small credit model on applicants that are made up, and packs it as SageMaker expects.

    python train.py [DIRECTORY]

It writes model.tar.gz, and what is needed to explain it: baseline.csv, a typical applicant, and applicants.csv, some
that the model has not seen. What is packed are the numbers that the training found, which any scikit-learn can serve.
"""

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def main(target: Path) -> None:
    """Write the three files."""
    target.mkdir(parents=True, exist_ok=True)
    columns, has_paid = applicants(4000)
    income, debt, years, missed = columns.T
    scaler = StandardScaler()
    seen = scaler.fit_transform(np.column_stack([debt / income, np.log1p(years), missed]))
    model = LogisticRegression().fit(seen[:3000], has_paid[:3000])

    numbers = io.BytesIO()
    np.savez(numbers, mean=scaler.mean_, scale=scaler.scale_, coef=model.coef_[0], intercept=model.intercept_[0])
    with tarfile.open(target / "model.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("model.npz")
        entry.size = numbers.tell()
        numbers.seek(0)
        archive.addfile(entry, numbers)
        archive.add(HERE / "code" / "inference.py", "code/inference.py")

    paid = columns[:3000][has_paid[:3000] == 1]
    write(target / "baseline.csv", np.median(paid, axis=0, keepdims=True))
    declined = model.predict_proba(seen[3000:])[:, 1] < 0.5
    write(target / "applicants.csv", np.vstack([columns[3000:][~declined][:3], columns[3000:][declined][:3]]))
    print(f"trained on 3000 applicants; right about {model.score(seen[3000:], has_paid[3000:]):.0%} of 1000 others")
    print(f"wrote {target / 'model.tar.gz'}")


def applicants(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Make up applicants: income and debt a year, years in the job, missed payments; and whether they have paid."""
    chance = np.random.default_rng(7)
    income = chance.lognormal(10.6, 0.4, count).round(-2)
    debt = (income * chance.beta(2, 5, count)).round(-2)
    years = chance.exponential(6, count).round()
    missed = chance.poisson(0.8, count).astype(float)
    score = 2.5 - 6 * debt / income + 0.7 * np.log1p(years) - 1.1 * missed
    return np.column_stack([income, debt, years, missed]), (chance.logistic(size=count) < score).astype(int)


def write(path: Path, rows: np.ndarray) -> None:
    """Write rows as whole numbers in CSV, without a header: as endpoints read it."""
    np.savetxt(path, rows, fmt="%d", delimiter=",")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "build")
