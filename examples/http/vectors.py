"""Checks the signatures in tests/vectors/standard-webhooks.json. The bridge's tests use the same file.

Each signature is compared with that of `check.sign`, and with those of the packages `standardwebhooks` for Python and
Node.js, which are not part of this project.
"""

import importlib.util
import json
import subprocess
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILE = HERE.parent.parent / "tests/vectors/standard-webhooks.json"
# Prints the signature of each vector, as a JSON list.
NODE_SCRIPT = """
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
const vectors = JSON.parse(readFileSync(0, "utf8"));
const sign = (v) => new Webhook(v.secret).sign(v.id, new Date(v.timestamp * 1000), v.body);
console.log(JSON.stringify(vectors.map(sign)));
"""


def signed_by_python_package(vectors):
    from standardwebhooks import Webhook

    def sign(vector):
        sent_at = datetime.fromtimestamp(vector["timestamp"], timezone.utc)
        return Webhook(vector["secret"]).sign(vector["id"], sent_at, vector["body"])

    return [sign(vector) for vector in vectors]


def signed_by_node_package(vectors):
    command = ["node", "--input-type=module", "--eval", NODE_SCRIPT]
    run = subprocess.run(command, cwd=HERE / "node", input=json.dumps(vectors), text=True, capture_output=True, timeout=60)
    if run.returncode != 0:
        raise OSError(run.stderr.strip())
    return json.loads(run.stdout)


def check(sign, node_needs, report, skip):
    """Reports a check for each vector and each signer. `node_needs`: what the Node.js package lacks, or `None`."""
    vectors = json.loads(FILE.read_text(encoding="utf-8"))
    signers = {"check.py": lambda all_: [sign(v["secret"], v["id"], v["timestamp"], v["body"].encode()) for v in all_]}
    if importlib.util.find_spec("standardwebhooks"):
        signers["the Python package"] = signed_by_python_package
    else:
        skip("vectors", "`pip install standardwebhooks`, for the Python that runs check.py")
    if node_needs:
        skip("vectors", node_needs)
    else:
        signers["the Node.js package"] = signed_by_node_package
    for signer, signatures in signers.items():
        for number, (vector, signature) in enumerate(zip(vectors, signatures(vectors), strict=True)):
            error = None if signature == vector["signature"] else f"it signs {signature}"
            report("vectors", f"{signer} agrees with vector {number}", error)
