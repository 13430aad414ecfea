"""True nodes of a Ray cluster on this machine: ``python -m tests.local.cluster.nodes COUNT PORT``.

They live as long as this process's standard input is open. It says ``{address}`` once they are there; at
``PORT`` of the head is the server for clients.
A line on standard input is ``{"end": IP}``, a node that dies without grace, or ``{"add": IP}``; each is
answered by ``{}``. The head is 127.0.0.2, and has no processors: whatever else is killed, the head stays.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

HEAD = "127.0.0.2"
STORE = 80 * 2**20
SYSTEM = {
    # The head knows a node as dead after five looks at it that find nobody: usually that is a quarter minute.
    "health_check_period_ms": 500,
    # Nobody reads these figures, and no process is to wait for a driver: each brings its own environment.
    "enable_metrics_collection": False,
    "prestart_worker_first_driver": False,
    "preload_python_modules": ["tests.local.cluster.forking"],
}
NOBODY_READS: dict[str, Any] = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
"""A page, the lines of every process, and what starts further machines: each is a process of the head's."""


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from ray.cluster_utils import Cluster

    head: dict[str, Any] = {"num_cpus": 0, "node_ip_address": HEAD, "object_store_memory": STORE}
    head |= {**NOBODY_READS, "ray_client_server_port": int(sys.argv[2]), "_system_config": SYSTEM}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes: dict[str, Any] = {HEAD: cluster.head_node}

    def add(ip: str) -> None:
        nodes[ip] = cluster.add_node(num_cpus=1, node_ip_address=ip, object_store_memory=STORE)

    for number in range(int(sys.argv[1])):
        add(f"127.0.0.{number + 3}")
    cluster.wait_for_nodes()

    def say(**fields: Any) -> None:
        out.write(json.dumps(fields) + "\n")
        out.flush()

    say(address=cluster.address)
    for line in sys.stdin:
        order = json.loads(line)
        if "end" in order:
            cluster.remove_node(nodes.pop(order["end"]), allow_graceful=False)
        else:
            add(order["add"])
        say()
    cluster.shutdown()


if __name__ == "__main__":
    main()
