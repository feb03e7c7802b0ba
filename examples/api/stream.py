"""httpx and server-sent events: stages, steps and pictures while a portrait is painted.

python examples/api/stream.py PHOTO     (LIMNER_URL and LIMNER_KEY as `limner serve` shows them)
"""

import base64
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx


def events(client: httpx.Client, body: dict[str, object]) -> Iterator[dict[str, object]]:
    """What happens to a portrait, one thing after another. Stop reading, and it is cancelled."""
    with client.stream("POST", "/v1/portraits", json={**body, "stream": True}) as response:
        if response.is_error:
            raise SystemExit(json.loads(response.read())["error"]["message"])
        for line in response.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line[6:])


photo = base64.b64encode(Path(sys.argv[1]).read_bytes()).decode()
wish = {
    "identities": [{"image": photo}],
    "attributes": {"age": 60, "expression": "smiling"},
    "steps": 24,
    "previews": 3,
}
headers = {"Authorization": f"Bearer {os.environ['LIMNER_KEY']}"}
with httpx.Client(base_url=os.environ["LIMNER_URL"], headers=headers, timeout=60) as client:
    for event in events(client, wish):
        match event["type"]:
            case "portrait.stage":
                print(f"{event['stage']} …")
            case "portrait.step":
                print(f"  step {event['step']} of {event['steps']}", end="\r")
            case "portrait.partial_image":
                file = Path(f"step-{event['step']}.png")
                file.write_bytes(base64.b64decode(str(event["b64_json"])))
                print(f"  what it is after {event['step']} steps: {file}")
            case "portrait.failed":
                raise SystemExit(f"{event['error']}")
            case "portrait.completed":
                portrait = event["portrait"]
                picture = portrait["images"][0]
                Path("portrait.png").write_bytes(base64.b64decode(picture["b64_json"]))
                alike = picture["similarity"][0]["cosine"]
                usage = portrait["usage"]
                print(f"portrait.png: similarity {alike:.2f}, {usage['tokens']} tokens, "
                      f"{usage['denoiser_evaluations']} denoiser evaluations, "
                      f"{usage['seconds']:.1f} s")  # fmt: skip
