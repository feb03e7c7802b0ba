"""The OpenAPI document is true: whatever schemathesis makes of it, nothing answers otherwise."""

import subprocess
import sys
from pathlib import Path

from serving import Limits
from tests.serving.conftest import Start

EXAMPLES = 20


def test_schemathesis_finds_no_fault_and_no_undocumented_answer(
    start: Start, tiny_bundle: Path, tmp_path: Path
) -> None:
    running = start(bundle=tiny_bundle, limits=Limits(requests_per_minute=10_000_000, steps=3))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "run",
            f"{running.url}/openapi.json",
            "--header", f"Authorization: Bearer {running.key}",
            # What fits the schema may still ask for what cannot be drawn: the answer is a 4xx.
            "--exclude-checks", "positive_data_acceptance",
            "--phases", "examples,coverage,fuzzing,stateful",
            "--max-examples", str(EXAMPLES), "--seed", "7", "--workers", "1", "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_everything_but_health_needs_a_key_and_the_document_says_so(start: Start) -> None:
    import httpx

    running = start()
    document = httpx.get(f"{running.url}/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answer = httpx.request(method, running.url + path.replace("{", "").replace("}", ""))
            is_open = path in ("/healthz", "/readyz")
            assert (answer.status_code == 401) is not is_open, (method, path)
            assert bool(operation["security"]) is not is_open
    for path in ("/docs", "/redoc", "/nothing", "/v1", "/page", "/page/"):
        assert httpx.get(running.url + path).status_code == 401, "deny by default"
