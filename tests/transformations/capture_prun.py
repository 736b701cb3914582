"""Makes captured_prun.json anew: what the real prun composes for the transformations. Run with its environment as argument.

    python -m tests.transformations.capture_prun /path/to/venv/of/panda-client

prun writes the task's parameters to a file and submits nothing; what the server would fill in is filled in here.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

OUT = ["--outDS", "user.testuser.t1"]
CASES: dict[str, list[str]] = {
    "plain": ["--exec", "./run.sh %RNDM:10 > out.txt", "--outputs", "out.txt", "--noBuild"],
    "quotes": ["--exec", "printf '%s 100%%' \"it's é\" `date` > 'o u t'", "--outputs", "o.txt,AAA:b*.root", "--noBuild"],
    "inputs": [
        "--exec", "echo %IN %IN2 > o", "--inDS", "user.x.a/,user.x.b/", "--secondaryDSs", "IN2:2:user.x.sec/", "--outputs", "o",
        "--noBuild", "--writeInputToTxt", "IN:in.txt,IN2:in2.txt", "--nFilesPerJob", "2", "--allowNoOutput", "o",
    ],
    "build": ["--exec", "./a.out %IN", "--bexec", "make -j \"2\" && ls", "--inDS", "user.x.a/", "--outputs", "o.root"],
    "no compile": ["--exec", "./a.out", "--noCompile", "--outputs", "o.root", "--rootVer", "6.28/00", "--cmtConfig", "x86_64"],
    "container": ["--exec", "echo %IN", "--containerImage", "docker://alma:9", "--inDS", "user.x.a/", "--outputs", "o"],
    "wrapped container": [
        "--exec", "echo x", "--containerImage", "alma:9", "--oldContMode", "--ctrCvmfs", "--ctrNoX509", "--ctrDatadir", "/d",
        "--ctrWorkdir", "/w", "--ctrDebug", "--useCentralRegistry", "--outputs", "o",
    ],
    "pfn list": ["--exec", "echo %IN > o", "--pfnList", "pfns.txt", "--site", "LOCAL", "--outputs", "o", "--noBuild"],
    "persistent": ["--exec", "true", "--persistentFile", "p", "--execWithRealFileNames", "--outputs", "o", "--noBuild"],
    "dash first": ["--exec", "-x y", "--noBuild"],
}  # fmt: skip
FILLED = {
    "SURL": "http://127.0.0.1:1", "LIB": "user.lib.1.lib.tgz", "OUT": "user.lib.1.lib.tgz", "SN": "1", "SN/P": "000001",
    "IN/T": "['a.root', 'b.root']", "IN2/T": "['s.root']", "SEQNUMBER": "11", "IN": "sources.1.tar.gz",
}  # fmt: skip


def main(environment: Path) -> None:
    """Run all cases and write the file."""
    cases = []
    for name, words in CASES.items():
        task = submitted(environment, [*words, *OUT])
        steps = {"run": text_of(task["jobParameters"])}
        if "buildSpec" in task:
            steps["build"] = task["buildSpec"]["jobParameters"]
        cases += [{"name": f"{name}, {step}", "step": step, "arguments": filled(text)} for step, text in steps.items()]
    target = Path(__file__).with_name("captured_prun.json")
    target.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


def submitted(environment: Path, words: list[str]) -> dict[str, Any]:
    """The task parameters of one command line."""
    claims = base64.urlsafe_b64encode(b'{"name": "test user", "preferred_username": "testuser"}').decode().rstrip("=")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "run.sh").write_text("#!/bin/sh\n")
        Path(directory, "pfns.txt").write_text("root://host//a.root\n")
        variables = {
            "VIRTUAL_ENV": str(environment), "PANDA_SYS": str(environment),
            "PANDA_PYTHONPATH": str(next(environment.glob("lib/python3*/site-packages"))),
            "PATH": f"{environment}/bin:{os.environ['PATH']}", "HOME": "/tmp/no-home", "PANDA_CONFIG_ROOT": directory,
            "PANDA_AUTH": "oidc", "PANDA_AUTH_VO": "testvo", "PANDA_AUTH_ID_TOKEN": f"e30.{claims}.x",
            "PANDA_URL": "http://127.0.0.1:1/server/panda", "PANDA_URL_SSL": "http://127.0.0.1:1/server/panda",
            "PANDACACHE_URL": "http://127.0.0.1:1/server/panda", "PANDA_BEHIND_REAL_LB": "1", "PANDA_VERIFY_HOST": "off",
        }  # fmt: skip
        dumped = Path(directory, "task.json")
        command = ["prun", *words, "--noSubmit", "--dumpTaskParams", str(dumped)]
        done = subprocess.run(command, cwd=directory, env=variables, capture_output=True, text=True, check=False)
        if not dumped.exists():
            sys.exit(f"{command}: {done.stdout}{done.stderr}")
        task: dict[str, Any] = json.loads(dumped.read_text())
        return task


def text_of(items: list[dict[str, Any]]) -> str:
    """The argument string of a job (client-wire.md 4.5)."""
    return "".join(
        item["value"] + (" " if item.get("padding", True) else "") for item in items if not item.get("hidden")
    )


def filled(text: str) -> str:
    """With what the server knows in place of the placeholders; sandboxes get names that do not change."""
    text = re.sub(r"\$\{([^}]+)\}", lambda match: FILLED[match[1]], text.replace("$JEDITASKID", "10000001"))
    return re.sub(r"(jobO|sources)\.[0-9a-f-]{36}", r"\1.1", text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
