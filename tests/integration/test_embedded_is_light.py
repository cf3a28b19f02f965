"""The embedded mode loads nothing of the distributed one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# greenlet is not among them: SQLAlchemy looks whether it is there, and does not use it.
HEAVY = {"nameko", "kombu", "amqp", "eventlet", "grpc", "kurrentdbclient", "psycopg2"}
PROGRAM = """
import json, sys
from deploy.embedded import Embedded
from shared import config

running = Embedded(config.load(), demo=False)
running.start()
running.stop()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_a_started_product_has_loaded_no_nameko_kombu_eventlet_or_grpc(tmp_path: Path) -> None:
    environment = {
        "PBXIM_MODE": "sandbox",
        "PBXIM_HTTP": "127.0.0.1:0",
        "PBXIM_DATA": str(tmp_path / "data"),
        "PBXIM_LOG_LEVEL": "error",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"flask", "sqlalchemy", "services"} <= loaded
    assert loaded & HEAVY == set()
