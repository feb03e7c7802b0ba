"""A batch from a CSV: each row a portrait, all drawn together, a second CSV with what they cost.

python examples/api/batch_from_csv.py examples/api/wishes.csv portraits/

Columns: file (where the picture goes), text, photo (whose face; may be empty), seed; every other
column is an attribute, and an empty cell says nothing. Run it again after whatever went wrong: the
Idempotency-Key of each row brings back what was drawn already.
"""

import base64
import csv
import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

KNOWN = ("file", "text", "photo", "seed")
AT_ONCE = 8
table, folder = Path(sys.argv[1]), Path(sys.argv[2])
client = httpx.Client(
    base_url=os.environ["LIMNER_URL"],
    headers={"Authorization": f"Bearer {os.environ['LIMNER_KEY']}"},
    timeout=600,
)


def value(cell: str) -> object:
    """A cell as JSON has it: true, a number, or words."""
    return True if cell == "true" else int(cell) if cell.isdecimal() else cell


def draw(row: dict[str, str]) -> dict[str, object]:
    """One row's portrait; its file is written, its cost comes back."""
    body: dict[str, object] = {
        "text": row.get("text") or None,
        "attributes": {k: value(v) for k, v in row.items() if k not in KNOWN and v},
        "seed": int(row.get("seed") or 0),
    }
    if row.get("photo"):
        photo = (table.parent / row["photo"]).read_bytes()
        body["identities"] = [{"image": base64.b64encode(photo).decode()}]
    key = hashlib.sha256(repr((row, body)).encode()).hexdigest()
    answer = client.post("/v1/portraits", json=body, headers={"Idempotency-Key": key})
    if answer.is_error:
        return {"file": row["file"], "error": answer.json()["error"]["message"]}
    portrait = answer.json()
    (folder / row["file"]).write_bytes(base64.b64decode(portrait["images"][0]["b64_json"]))
    usage = portrait["usage"]
    return {
        "file": row["file"],
        "prompt": portrait["prompt"]["prompt"],
        "tokens": usage["tokens"],
        "tokens in ordinary words": usage["baseline_tokens"],
        "denoiser evaluations": usage["denoiser_evaluations"],
        "seconds": round(usage["seconds"], 2),
    }


folder.mkdir(parents=True, exist_ok=True)
with table.open(encoding="utf-8", newline="") as file:
    rows = list(csv.DictReader(file))
with ThreadPoolExecutor(AT_ONCE) as pool:
    costs = list(pool.map(draw, rows))
columns = list(dict.fromkeys(name for cost in costs for name in cost))
with (folder / "costs.csv").open("w", encoding="utf-8", newline="") as file:
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    writer.writerows(costs)
failed = [cost for cost in costs if "error" in cost]
print(f"{len(costs) - len(failed)} portraits and costs.csv in {folder}")
for cost in failed:
    print(f"  {cost['file']}: {cost['error']}")
sys.exit(bool(failed))
