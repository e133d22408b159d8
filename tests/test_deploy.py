"""What is in deploy fits the programs: options, ports, users, times, versions."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from qmq.server.config import Config
from qmq.server.config_file import check_config_file
from qmq.server.gateway_config import GatewayConfig
from tests.documents import ROOT

DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))

#: Who q is in a container.
USER = 10002


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the documents of a YAML file."""
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if isinstance(each, dict)]


def pods(path: Path) -> list[dict[str, Any]]:
    """Return the specifications of the pods in a manifest."""
    return [
        each["spec"]["template"]["spec"]
        for each in documents(path)
        if each["kind"] in {"StatefulSet", "Deployment"}
    ]


@pytest.mark.parametrize("name", ["docker/q.toml", "kubernetes/base/q.toml", "systemd/q.toml"])
def test_configuration_files_are_sound(name: str) -> None:
    """With options that there are, and which do not contradict each other."""
    assert check_config_file(DEPLOY / name, Config).texts


def test_variables_are_those_of_options() -> None:
    """Those of containers, whoever sets them; what they say keeps the options' rules."""
    known = {row.variable: row for table in (Config, GatewayConfig) for row in table.options()}
    texts = {path: path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file()}
    named = {
        name
        for text in texts.values()
        for name in re.findall(r"\b(?:Q|QREST)_[A-Z_]*[A-Z]\b", text)
    }

    assert named > {"Q_POSTGRES", "Q_TLS_CERT", "QREST_SERVER"}
    assert named <= known.keys()
    for path in MANIFESTS:
        for pod in pods(path):
            for entry in pod["containers"][0].get("env", []):
                if entry["name"] in known and "$(" not in entry.get("value", "$("):
                    known[entry["name"]].kind.parse(entry["value"])


def test_pods_are_restricted_and_end_in_peace() -> None:
    """As nobody in particular, without rights, on a root that is read-only, with time to drain."""
    (q,) = pods(DEPLOY / "kubernetes/base/stateful-set.yaml")
    (qrest,) = pods(DEPLOY / "kubernetes/components/qrest/qrest.yaml")
    drain_s = float(
        check_config_file(DEPLOY / "kubernetes/base/q.toml", Config).texts["drain_timeout"]
    )

    for pod in (q, qrest):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] == USER
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not pod["automountServiceAccountToken"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert q["terminationGracePeriodSeconds"] > drain_s
    variables = {each["name"]: each["value"] for each in qrest["containers"][0]["env"]}
    gateway = GatewayConfig.from_texts(
        {name.removeprefix("QREST_").lower(): text for name, text in variables.items()}
    )
    assert qrest["terminationGracePeriodSeconds"] > gateway.kill_after > gateway.close_after


def test_containers_end_in_peace() -> None:
    """Those of Compose have time to drain, and may do as little as pods."""
    (compose,) = documents(DEPLOY / "docker/compose.yaml")
    drain_s = float(check_config_file(DEPLOY / "docker/q.toml", Config).texts["drain_timeout"])

    for service in compose["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert float(service["stop_grace_period"].removesuffix("s")) > drain_s
    dockerfile = (DEPLOY / "docker/Dockerfile").read_text("utf-8")
    assert set(re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE)) == {f"{USER}:{USER}"}


def test_versions_are_that_of_the_package() -> None:
    """One is raised in pyproject.toml, and the others with it."""
    kustomization, component, chart, values = (
        documents(DEPLOY / name)[0]
        for name in (
            "kubernetes/base/kustomization.yaml",
            "kubernetes/components/qrest/kustomization.yaml",
            "helm/q/Chart.yaml",
            "helm/q/values.yaml",
        )
    )

    versions = [
        *(image["newTag"] for each in (kustomization, component) for image in each["images"]),
        chart["version"],
        chart["appVersion"],
        values["image"]["tag"],
        values["qrest"]["image"]["tag"],
    ]

    assert set(versions) == {version("qmq")}
