"""`python -m benches.explainer`: our Kernel SHAP beside shap's and shapiq's, at equal evaluations of the model.

Prints, for each number of features M and of coalitions n, the median relative error (against all coalitions where
that is possible, else against a long run of ours under another seed) and the explainer's own time: that of the whole
less the model's. The models are gradient boosting and a random forest on data sets that scikit-learn ships or makes.

shap and shapiq are large; they get an environment of their own, in which the measuring is done.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from hostmaker.environments.build import default_cache

PACKAGES = ("shap", "shapiq", "scikit-learn")
ROOT = Path(__file__).parent.parent


def main() -> None:
    """Have the environment, measure in it, and print."""
    parser = argparse.ArgumentParser(prog="python -m benches.explainer", description=__doc__)
    parser.add_argument("--rows", type=int, default=150, help="explained in each case")
    parser.add_argument("--seeds", type=int, default=1, help="with which each row is explained")
    parser.add_argument("--packages", nargs="*", default=PACKAGES, help="what to measure against")
    arguments = parser.parse_args()
    python = environment(arguments.packages)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PYTHONWARNINGS": "ignore"}
    measured = subprocess.run(
        [python, "-m", "benches.explainer_cases", str(arguments.rows), str(arguments.seeds)],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    cases = [json.loads(line) for line in measured.stdout.splitlines() if line.startswith("{")]
    print(
        f"{'data, model':34}{'M':>4}{'n':>6}  median error: ours, shap, shapiq    own time: ours, shap, shapiq (x ours)"
    )
    for case in cases:
        error, own = case["error"], case["own_s"]
        ours = max(own["ours"], 1e-9)
        print(
            f"{case['name']:34}{case['features']:>4}{case['samples']:>6}  "
            + "  ".join(f"{error[each]:.5f}" for each in ("ours", "shap", "shapiq"))
            + f"    {ours * 1e3:6.1f} ms  {own['shap'] / ours:5.1f} x  {own['shapiq'] / ours:5.1f} x"
        )


def environment(packages: list[str] | tuple[str, ...]) -> Path:
    """Give the Python of an environment with these packages, made once for the machine."""
    uv = Path(sys.executable).with_name("uv")
    place = default_cache() / "clients" / ("bench-" + "-".join(each.replace("==", "-") for each in packages))
    if not (place / ".complete").exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, place], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", place / "bin" / "python", *packages], check=True)
        (place / ".complete").touch()
    return place / "bin" / "python"


if __name__ == "__main__":
    main()
