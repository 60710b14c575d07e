"""Runs tasks of a compiled specification as its platform would, in this process."""

import copy
import json
import pathlib

from pipeline import container


class Platform:
    """Hands each task its artifacts and parameters; keeps what it reports.

    Args:
        job: The compiled job.
        folder: Stands for the mount of all buckets.
    """

    def __init__(self, job, folder):
        self.spec, self.folder, self.reported = job["pipelineSpec"], folder, {}

    def run(self, name):
        """Runs a task; gives what it reported of its artifacts."""
        task = self.spec["root"]["dag"]["tasks"][name]
        component = self.spec["components"][task["componentRef"]["name"]]
        executor = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        task_folder = self.folder / "bucket" / "run" / name
        task_folder.mkdir(parents=True, exist_ok=True)
        invocation = {
            "inputs": self._inputs(task),
            "outputs": {
                "artifacts": self._outputs(name, component),
                "outputFile": f"gs://bucket/run/{name}/executor_output.json",
            },
        }
        arguments = [word.replace("{{$}}", json.dumps(invocation)) for word in executor["args"]]
        assert container.main(arguments) == 0
        written = json.loads((task_folder / "executor_output.json").read_text())
        for key, artifacts in invocation["outputs"]["artifacts"].items():
            told = written["artifacts"][key]["artifacts"][0]
            self.reported[name, key] = {**copy.deepcopy(artifacts["artifacts"][0]), **told}
        return written.get("artifacts", {})

    def path(self, name, key):
        """Returns the folder of an artifact."""
        uri = self.reported[name, key]["uri"]
        assert uri.startswith("gs://")
        return self.folder / pathlib.PurePath(uri.removeprefix("gs://"))

    def _inputs(self, task):
        given = task.get("inputs", {})
        artifacts = {}
        for key, source in given.get("artifacts", {}).items():
            origin = source["taskOutputArtifact"]
            found = self.reported.get((origin["producerTask"], origin["outputArtifactKey"]))
            artifacts[key] = {"artifacts": [found] if found else []}
        parameters = {
            key: value["runtimeValue"]["constant"]
            for key, value in given.get("parameters", {}).items()
        }
        return {"artifacts": artifacts, "parameterValues": parameters}

    def _outputs(self, name, component):
        defined = component.get("outputDefinitions", {}).get("artifacts", {})
        return {
            key: {
                "artifacts": [
                    {
                        "name": f"{name}/{key}",
                        "uri": f"gs://bucket/run/{name}/{key}",
                        "type": about["artifactType"],
                    }
                ]
            }
            for key, about in defined.items()
        }
