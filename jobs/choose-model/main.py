"""Pick the candidate with the highest AUC and publish it with what is known about it.

Writes the winner's model.skops, serving.json and metrics.json (which the check looks at), and candidates.json (all of
them, for the report).
Needs nothing but the standard library, so it starts in no time.
"""

import json
import os
import shutil
from pathlib import Path

candidates = Path(os.environ["HERD_INPUTS"], "delay-model")
outputs = Path(os.environ["HERD_OUTPUTS"])

metrics = [json.loads(path.read_text()) for path in sorted(candidates.glob("*/metrics.json"))]
metrics.sort(key=lambda each: each["auc"], reverse=True)
best = metrics[0]

for name in ("model.skops", "serving.json"):
    shutil.copy(candidates / best["candidate"] / name, outputs)
(outputs / "metrics.json").write_text(json.dumps({**best, "run_id": os.environ["HERD_RUN_ID"]}, indent=2))
summary = [{key: each[key] for key in ("candidate", "auc", "log_loss")} for each in metrics]
(outputs / "candidates.json").write_text(json.dumps(summary, indent=2))

for each in metrics:
    print(f"{each['candidate']:>10}: AUC {each['auc']:.3f}, log loss {each['log_loss']:.3f}")
print(f"published: {best['candidate']}")
