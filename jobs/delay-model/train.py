"""Train one candidate for the delay model, and judge it on weeks that come after those it learnt from.

Which candidate is in HERD_ITEM. Writes model.skops, metrics.json, and serving.json for the API.

The model is saved by skops rather than pickle: a pickle can run any code when it is loaded; skops loads data, and
refuses every type that it was not told to trust.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import skops.io
from features import CATEGORIES, NUMBERS, WEATHER, features, is_late, with_weather
from sklearn.base import ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

CANDIDATES: dict[str, ClassifierMixin] = {
    "logistic": LogisticRegression(C=0.3, max_iter=500),
    "forest": RandomForestClassifier(n_estimators=40, min_samples_leaf=30, max_samples=0.4, random_state=13),
    "boosting": HistGradientBoostingClassifier(learning_rate=0.06, max_iter=80, max_leaf_nodes=15, random_state=13),
}


def main() -> None:
    candidate = os.environ["HERD_ITEM"]
    outputs = Path(os.environ["HERD_OUTPUTS"])
    data = Path(os.environ["HERD_INPUTS"], "ingest-flights")
    test_weeks = int(os.environ["HERD_PARAM_TEST_WEEKS"])
    weeks = int(os.environ["HERD_PARAM_TRAIN_WEEKS"]) + test_weeks

    # The newest weeks only: what delayed flights a year ago says little about tomorrow.
    names = sorted(path.name for path in data.glob("flights/*.parquet"))[-weeks:]
    weather = read(data / "weather", names)
    flights = with_weather(read(data / "flights", names), weather).dropna(subset="departure_delay")
    first_test_day = pd.Timestamp(names[-test_weeks].removesuffix(".parquet"))
    train = flights[flights["scheduled"] < first_test_day]
    test = flights[flights["scheduled"] >= first_test_day]

    model = build(candidate)
    learnt = is_late(train)
    if os.environ.get("HERD_PARAM_SHUFFLE_LABELS") == "true":
        # As when a join went wrong: what it learns has nothing to do with what it sees (`herd demo nonsense`).
        learnt = pd.Series(learnt.sample(frac=1, random_state=13).to_numpy(), index=learnt.index)
    model.fit(features(train), learnt)
    late = is_late(test)
    probability = model.predict_proba(features(test))[:, 1]

    metrics = {
        "candidate": candidate,
        "auc": round(roc_auc_score(late, probability), 4),
        "log_loss": round(log_loss(late, probability), 4),
        "late_share": round(float(late.mean()), 4),
        "trained_on": period(train),
        "tested_on": period(test),
        "calibration": calibration(late, probability),
    }
    # What the API needs to know to fill in what a caller leaves out, and to refuse what the model has never seen.
    serving = {
        "carriers": sorted(train["carrier"].unique()),
        "routes": train.groupby(["origin", "dest"])["distance_km"].first().reset_index().to_dict("records"),
        "typical_weather": weather[WEATHER].median().round(1).to_dict(),
    }
    (outputs / "metrics.json").write_text(json.dumps(metrics, indent=2))
    (outputs / "serving.json").write_text(json.dumps(serving, indent=2))
    skops.io.dump(model, outputs / "model.skops")
    print(f"{candidate}: AUC {metrics['auc']:.3f} on {len(test):,} flights after {metrics['trained_on']['to']}")


def read(folder: Path, names: list[str]) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(folder / name) for name in names], ignore_index=True)


def build(candidate: str) -> Pipeline:
    """The candidate, with the preparation that its kind needs."""
    estimator = CANDIDATES[candidate]
    if candidate == "logistic":
        categories = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=50)
        numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    else:
        categories = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        numbers = SimpleImputer(strategy="median")
    return make_pipeline(make_column_transformer((categories, CATEGORIES), (numbers, NUMBERS)), estimator)


def period(flights: pd.DataFrame) -> dict[str, str | int]:
    days = flights["scheduled"].dt.date
    return {"from": str(days.min()), "to": str(days.max()), "flights": len(flights)}


def calibration(late: pd.Series, probability: object, groups: int = 10) -> list[dict[str, float]]:
    """For ten equal groups from the least to the most endangered flights: what was predicted and what happened."""
    table = pd.DataFrame({"late": late.to_numpy(), "probability": probability})
    table["group"] = pd.qcut(table["probability"].rank(method="first"), groups, labels=False)
    means = table.groupby("group").mean().round(4)
    return [{"predicted": row.probability, "happened": row.late} for row in means.itertuples()]


if __name__ == "__main__":
    main()
