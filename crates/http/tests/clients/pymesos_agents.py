"""A framework written with pymesos whose executor is written with pymesos, too, on agents that run things.

Usage: pymesos_agents.py MASTER EXECUTOR

EXECUTOR is the path of pymesos_executor.py. Two tasks run in one executor: statuses, messages both ways, a task that ends by itself,
one that is killed, and the shutdown of the executor, which is told with its wait status. The status is 0 if all was as it should be.
"""

import base64
import queue
import sys
import time

import pymesos  # on the main thread: it installs a handler of signals

# The longest time that any one event may take, in seconds.
PATIENCE = 30


class Failed(Exception):
    """Something was not as it should be."""


class Recorder(pymesos.Scheduler):
    def __init__(self):
        self.events = queue.Queue()

    def resourceOffers(self, driver, offers):
        for offer in offers:
            self.events.put(("offer", offer))

    def statusUpdate(self, driver, status):
        self.events.put(("status", status))

    def frameworkMessage(self, driver, executor_id, slave_id, message):
        self.events.put(("message", (executor_id["value"], base64.b64decode(message).decode())))

    def executorLost(self, driver, executor_id, slave_id, status):
        self.events.put(("executor lost", (executor_id["value"], status)))

    def error(self, driver, message):
        self.events.put(("error", message))


class Session:
    def __init__(self, master):
        framework = {"user": "root", "name": "pymesos agents", "roles": ["web"], "failover_timeout": 60,
                     "capabilities": [{"type": "MULTI_ROLE"}]}
        self.recorder = Recorder()
        self.driver = pymesos.MesosSchedulerDriver(self.recorder, framework, master)
        self.driver.start()

    def next(self, kind):
        """Returns the next event of a kind; offers before it are declined, and of others there may be none."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found, what = self.recorder.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed(f"no {kind} within {PATIENCE} s") from None
            if found == kind:
                return what
            if found != "offer":
                raise Failed(f"expected {kind}, found {found}: {what}")
            self.driver.declineOffer(what["id"], {"refuse_seconds": 3600})

    def statuses(self, expected):
        """Reads as many statuses as there should be, in any order of the tasks."""
        found = {}
        for _ in range(sum(len(states) for states in expected.values())):
            status = self.next("status")
            found.setdefault(status["task_id"]["value"], []).append(status["state"])
            check(status["executor_id"]["value"] == "runner", f"the executor of {status}")
            check(status["source"] == "SOURCE_EXECUTOR", f"the source of {status}")
        check(found == expected, f"expected {expected}, found {found}")

    def ask(self, agent_id, text):
        """Sends a message, and returns the one that comes back."""
        data = base64.b64encode(text.encode()).decode()
        self.driver.sendFrameworkMessage({"value": "runner"}, agent_id, data)
        return self.next("message")


def check(holds, what):
    if not holds:
        raise Failed(what)


def scalar(name, amount):
    return {"name": name, "type": "SCALAR", "scalar": {"value": amount}}


def task(name, agent_id, line, executor, framework_id):
    return {
        "name": name, "task_id": {"value": name}, "agent_id": agent_id,
        "data": base64.b64encode(line.encode()).decode(),
        "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
        "executor": {
            "type": "CUSTOM", "executor_id": {"value": "runner"}, "framework_id": {"value": framework_id},
            "command": {"value": f"exec {sys.executable} {executor}"},
            "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
        },
    }


def session(master, executor):
    of = Session(master)
    offer = of.next("offer")
    agent_id, framework_id = offer["agent_id"], of.driver.framework_id
    lines = {"ends": "until [ -e go ]; do sleep 0.05; done", "stays": "sleep 1000", "fails": "exit 3"}
    of.driver.launchTasks(offer["id"], [task(name, agent_id, line, executor, framework_id) for name, line in lines.items()])
    of.statuses({"ends": ["TASK_RUNNING"], "stays": ["TASK_RUNNING"], "fails": ["TASK_RUNNING", "TASK_FAILED"]})
    print("three tasks run in an executor, one has failed")
    answer = of.ask(agent_id, "who runs")
    check(answer == ("runner", "who runs: ends stays"), f"the answer {answer}")
    of.driver.killTask({"value": "stays"})
    of.statuses({"stays": ["TASK_KILLED"]})
    answer = of.ask(agent_id, "and now")
    check(answer == ("runner", "and now: ends"), f"the answer {answer}")
    print("messages go both ways, and a kill ends one task alone")
    of.driver._send({  # the driver has no method for it
        "type": "SHUTDOWN", "framework_id": {"value": framework_id},
        "shutdown": {"executor_id": {"value": "runner"}, "agent_id": agent_id},
    })
    seen = {}
    while "executor lost" not in seen:
        found, what = of.recorder.events.get(timeout=PATIENCE)
        seen[found] = what
    check(seen["status"]["task_id"]["value"] == "ends", f"the last status {seen['status']}")
    check(seen["status"]["state"] in ("TASK_FAILED", "TASK_KILLED"), f"the last status {seen['status']}")
    check(seen["executor lost"][0] == "runner", f"the executor {seen['executor lost']}")
    print("the executor was shut down, wait status", seen["executor lost"][1])
    of.driver.stop()
    of.driver.join()


try:
    session(sys.argv[1], sys.argv[2])
except (Failed, queue.Empty) as failed:
    print("FAILED:", failed or "no event in time")
    sys.exit(1)
