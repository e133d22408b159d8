"""The dashboard and the alerts in deploy/, by a real Prometheus that scrapes a real q."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from qmq.wire import q_pb2 as pb
from tests.acceptance.running import RunningQ, free_ports
from tests.acceptance.test_operations_page import shown
from tests.documents import page, section, spans

DEPLOY: Final = Path(__file__).parent.parent.parent / "deploy"
DASHBOARD: Final = DEPLOY / "grafana" / "q.json"
ALERTS: Final = DEPLOY / "prometheus" / "alerts.yml"

#: Seconds that anything may take.
PATIENCE_S: Final = 60.0

#: What Grafana puts in.
VARIABLES: Final = {"$__rate_interval": "30s", "$instance": ".*", "$queue": ".*"}

_METRIC: Final = re.compile(r"\b(?:q|queue|envoy|process)_\w+\b|\bup\b")

#: Expressions that show nothing of a q that is alone, and well.
_OF_OTHERS: Final = re.compile(
    "q_cluster_|envoy_cluster_|q_backup|q_identity_|q_access_|q_token_|q_certificate_|q_warning"
)


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """Skip where Prometheus is not installed, but in CI."""
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        missing = "Prometheus is not installed; Debian's package is prometheus"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)


class Prometheus:
    """A Prometheus of the test's own."""

    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, expression: str) -> list[Any]:
        """Return what an expression gives at this moment. Raises HTTPError if it is none."""
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://{self._address}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=20) as reply:
            found = json.load(reply)["data"]
        return found["result"] if found["resultType"] == "vector" else [found["result"]]

    def wait_for(self, expression: str) -> None:
        """Wait until an expression gives something."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if self.ask(expression):
                    return
            except urllib.error.URLError:
                pass
            assert time.monotonic() < deadline, expression
            time.sleep(0.1)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that scrapes a q, of which there is something to see of everything."""
    directory = tmp_path_factory.mktemp("prometheus")
    q = RunningQ(directory)
    q.start()
    (port,) = free_ports(1)
    job = {"job_name": "q", "static_configs": [{"targets": [q.metrics_address]}]}
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [job],
    }
    # JSON is YAML.
    (directory / "prometheus.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.size=64MB",
            "--log.level=error",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        prometheus = Prometheus(f"127.0.0.1:{port}")
        prometheus.wait_for("up{job='q'} == 1")
        shown(q)
        with grpc.insecure_channel(q.address) as channel:
            pop: Any = channel.unary_unary("/proto.Q/Pop")
            request = pb.PopRequest(queue_id="dead", wait=Duration(seconds=60))
            waiting = pop.future(request.SerializeToString(), timeout=60)
            prometheus.wait_for("queue_waiting_calls")
            # Rates are of two scrapes.
            prometheus.wait_for("count_over_time(q_streams_total[30s]) > 1")
            yield prometheus
            waiting.cancel()
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        if q.is_running:
            q.kill()


def of_dashboard() -> list[tuple[str, str]]:
    """List the expressions of the dashboard, each with the title of its panel."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = []
    for panel in panels:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression))
    return found


def of_alerts() -> list[str]:
    """List the expressions of the alerts, as Prometheus itself has read them."""
    rules = ALERTS.read_text(encoding="utf-8")
    # Those that go over several lines are indented below.
    return [
        re.sub(r"^\|\n", "", match).strip()
        for match in re.findall(r"expr: (\|\n(?: {10}.*\n)+|.*)", rules)
    ]


def promtool(*arguments: str) -> None:
    """Run promtool, which fails if anything is wrong."""
    run = subprocess.run(
        ["promtool", *arguments],
        cwd=ALERTS.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_alerts_fire_when_they_should() -> None:
    """As alerts_test.yml says, of series that are written there."""
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")


def test_each_panel_shows_something(prometheus: Prometheus) -> None:
    """Each expression of the dashboard is one, and gives something of a q that has all of it."""
    expressions = of_dashboard()
    assert len(expressions) > 50
    empty = []
    for title, expression in expressions:
        if not prometheus.ask(expression) and not _OF_OTHERS.search(expression):
            empty.append(f"{title}: {expression}")
    assert not empty, "\n".join(empty)


def test_each_alert_can_be_evaluated(prometheus: Prometheus) -> None:
    """None is wrong, and Prometheus has read them all."""
    for expression in of_alerts():
        prometheus.ask(expression)


def test_all_metrics_that_are_asked_for_are_documented() -> None:
    """Neither the dashboard nor an alert is about a metric that q does not have."""
    documented = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
    documented |= {"process_open_fds"}
    for path, title in (
        ("docs/operations.md", "Metrics"),
        ("docs/cluster-clients.md", "Metrics of a cluster"),
        ("docs/observability.md", "Metrics of access"),
    ):
        for span in spans(section(page(path), title)):
            documented.add(span.partition("{")[0])
    # Of a histogram, the page names the whole; of Envoy's calls to the leader, one.
    suffixes = re.compile("_(bucket|count|sum)$")
    asked = {
        name
        for expression in (*(each for _, each in of_dashboard()), *of_alerts())
        for name in _METRIC.findall(expression)
    } - {"queue_info", "envoy_http_conn_manager_prefix", "envoy_response_code_class"}
    asked -= {"envoy_cluster_name", "envoy_cluster_upstream_rq_retry"}

    assert {suffixes.sub("", name) for name in asked} <= documented
