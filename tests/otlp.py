"""A collector of metrics: it speaks OTLP over HTTP, and keeps the newest value of every counter."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

Attributes = frozenset[tuple[str, str]]


class Collector:
    """Listens while the block lasts. counters: of name and attributes, as they were sent last."""

    def __init__(self) -> None:
        self.counters: dict[tuple[str, Attributes], int] = {}
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(ExportMetricsServiceRequest.FromString(body))
                answer = ExportMetricsServiceResponse().SerializeToString()
                self.send_response(200 if self.path == "/v1/metrics" else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, request: ExportMetricsServiceRequest) -> None:
        """Keep what was sent: sums that only rise, from the beginning."""
        for resource in request.resource_metrics:
            for one in resource.resource.attributes:
                if one.key == "service.name":
                    self.services.add(one.value.string_value)
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    assert metric.sum.is_monotonic
                    assert metric.sum.aggregation_temporality == 2, "cumulative"
                    for point in metric.sum.data_points:
                        said = frozenset(
                            (pair.key, pair.value.string_value) for pair in point.attributes
                        )
                        self.counters[metric.name, said] = point.as_int

    def value(self, name: str, **attributes: str) -> int:
        """A counter's sum over all points that have these attributes (`_` stands for a dot)."""
        wanted = {(key.replace("_", "."), value) for key, value in attributes.items()}
        return sum(
            value for (found, said), value in self.counters.items()
            if found == name and wanted <= said
        )  # fmt: skip
