"""A framework written with pymesos: it runs a session against a master and checks all that it is told.

Usage: pymesos_session.py MASTER [STANDBY] [--python-parser]

MASTER and STANDBY are HOST:PORT; the standby redirects to the master. With --python-parser, pymesos reads HTTP with
http-parser's reader in Python instead of the one in C. The status is 0 if all was as it should be, otherwise 1.
"""

import queue
import sys
import time

if "--python-parser" in sys.argv:
    sys.modules["http_parser.parser"] = None  # its import fails, and the reader in Python takes its place

import pymesos  # on the main thread: it installs a handler of signals

# The longest time that any one event may take, in seconds.
PATIENCE = 20


class Failed(Exception):
    """Something was not as it should be."""


class Recorder(pymesos.Scheduler):
    """Puts all that the driver tells into a queue, which the session reads."""

    def __init__(self):
        self.events = queue.Queue()

    def registered(self, driver, framework_id, master_info):
        self.events.put(("registered", framework_id["value"], master_info))

    def reregistered(self, driver, master_info):
        self.events.put(("registered again", driver.framework_id, master_info))

    def disconnected(self, driver):
        self.events.put(("disconnected",))

    def resourceOffers(self, driver, offers):
        for offer in offers:
            self.events.put(("offer", offer))

    def offerRescinded(self, driver, offer_id):
        self.events.put(("rescinded", offer_id["value"]))

    def statusUpdate(self, driver, status):
        self.events.put(("status", status))

    def error(self, driver, message):
        driver.stop(failover=True)  # otherwise the driver would subscribe again
        self.events.put(("error", message))

    def processHeartBeat(self, driver):
        self.events.put(("heartbeat",))


class Session:
    """A driver with the events of its recorder, in order."""

    def __init__(self, master, framework_id=None, implicit=True):
        framework = {
            "user": "root",
            "name": "pymesos session",
            "roles": ["web"],
            "failover_timeout": 60,
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
        }
        if framework_id:
            framework["id"] = {"value": framework_id}
        self.recorder = Recorder()
        self.driver = pymesos.MesosSchedulerDriver(
            self.recorder, framework, master, implicit_acknowledgements=implicit, timeout=PATIENCE
        )
        self.driver.start()

    def next(self, kind):
        """Returns the next event of a kind. Offers before it are declined, other events are dropped."""
        deadline = time.monotonic() + PATIENCE
        seen = []
        while True:
            try:
                event = self.recorder.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed(f"no {kind} within {PATIENCE} s, only {seen}") from None
            if event[0] == kind:
                return event[1:]
            if event[0] == "offer":
                self.driver.declineOffer(event[1]["id"], {"refuse_seconds": 3600})
            if event[0] == "error":
                raise Failed(f"expected {kind}, found the error {event[1]}")
            seen.append(event[0])

    def offers(self, cpus):
        """Returns offers of agents that have so many CPUs, each of another agent. Offers of a part are declined for now."""
        offers, left = [], list(cpus)
        while left:
            (offer,) = self.next("offer")
            amount = sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == "cpus")
            if amount in left:
                left.remove(amount)
                offers.append(offer)
            else:
                self.driver.declineOffer(offer["id"], {"refuse_seconds": 0})
        return offers

    def statuses(self, expected):
        """Reads statuses until each task has had the states expected of it, in their order."""
        found = {task: [] for task in expected}
        last = {}
        while found != expected:
            (status,) = self.next("status")
            task, state = status["task_id"]["value"], status["state"]
            check(task in found, f"a status of {task}, {state}: {status.get('message')}")
            found[task].append(state)
            last[task] = status
            check(found[task] == expected[task][: len(found[task])], f"{task}: expected {expected}, found {found}")
        return last

    def close(self):
        """Ends the driver, but not the framework."""
        self.driver.stop(failover=True)
        self.driver.join()


def check(holds, what):
    if not holds:
        raise Failed(what)


def task(offer, name, seconds, cpus=0.5, executor=None):
    task = {
        "name": name,
        "task_id": {"value": name},
        "agent_id": offer["agent_id"],
        "labels": {"labels": [{"key": "of", "value": "pymesos"}]},
        "resources": [scalar("cpus", cpus), scalar("mem", 64)],
    }
    if executor:
        task["executor"] = {
            "type": "CUSTOM",
            "executor_id": {"value": executor},
            "command": {"value": "./an-executor"},
            "resources": [scalar("cpus", 0.1), scalar("mem", 32)],
        }
    else:
        task["command"] = {"value": f"sleep {seconds}"}
    return task


def scalar(name, value):
    return {"name": name, "type": "SCALAR", "scalar": {"value": value}}


def reconciled(session, tasks, expected):
    """Asks for the states of tasks, and checks that the answers are the master's own."""
    session.driver.reconcileTasks(tasks)
    for name, status in session.statuses({name: [state] for name, state in expected.items()}).items():
        check(status["reason"] == "REASON_RECONCILIATION", f"the reason for {name}: {status}")
        check(status["source"] == "SOURCE_MASTER" and "uuid" not in status, f"the source for {name}: {status}")


def launches_follows_and_kills(master):
    session = Session(master)
    framework_id, info = session.next("registered")
    check(info["version"] == "1.11.0", f"the version of the master: {info}")
    session.next("heartbeat")
    first, *others = session.offers([4, 4, 4])
    check(first["allocation_info"]["role"] == "web", f"the role of an offer: {first}")
    check(first["url"]["address"]["port"] == 5051, f"the address of an agent: {first}")
    session.driver.declineOffer([other["id"] for other in others], {"refuse_seconds": 3600})

    tasks = [task(first, "short", 0.3), task(first, "long", 600), task(first, "huge", 1, cpus=1000)]
    tasks.append(task(first, "executed", 600, executor="e"))
    session.driver.launchTasks(first["id"], tasks, {"refuse_seconds": 3600})
    session.statuses(
        {
            "huge": ["TASK_ERROR"],
            "short": ["TASK_RUNNING", "TASK_FINISHED"],
            "long": ["TASK_RUNNING"],
            "executed": ["TASK_RUNNING"],
        }
    )
    print("tasks run, and one ends")

    asked = [{"task_id": {"value": name}} for name in ("long", "nobody")]
    reconciled(session, asked, {"long": "TASK_RUNNING", "nobody": "TASK_UNKNOWN"})
    reconciled(session, [], {"long": "TASK_RUNNING", "executed": "TASK_RUNNING"})
    print("states are reconciled")

    for name in ("long", "executed"):
        session.driver.killTask({"value": name})
        session.statuses({name: ["TASK_KILLED"]})
    print("tasks are killed")

    session.driver.suppressOffers()
    session.driver.reviveOffers()
    offers = session.offers([4, 4, 3.9])  # the executor still waits for tasks
    session.driver.declineOffer([offer["id"] for offer in offers], {"refuse_seconds": 0})
    print("what was declined or in use is offered again")
    session.close()
    return framework_id


def acknowledges_itself(master, framework_id):
    session = Session(master, framework_id, implicit=False)
    found, _ = session.next("registered again")
    check(found == framework_id, f"the id after a fail-over: {found}")
    (offer,) = session.next("offer")
    session.driver.launchTasks(offer["id"], [task(offer, "acknowledged", 0.1)], {"refuse_seconds": 0})
    for state in ("TASK_RUNNING", "TASK_FINISHED"):
        (status,) = session.next("status")
        check(status["state"] == state, f"expected {state}, found {status}")
        session.driver.acknowledgeStatusUpdate(status)
    print("statuses are acknowledged by hand")
    return session


def takes_over(master, session, framework_id):
    """A second driver of the same framework: the first is told, and ends."""
    second = Session(master, framework_id)
    second.next("registered again")
    (message,) = session.next("error")
    check(message == "Framework failed over", message)
    session.driver.join()
    print("another instance takes over")
    return second


def ends(master, session, framework_id):
    """Stopping a driver ends its framework, whose id is then refused."""
    session.driver.stop()
    session.driver.join()
    late = Session(master, framework_id)
    (message,) = late.next("error")
    check(message == "Framework has been removed", message)
    late.driver.join()
    print("a framework is torn down")


def is_redirected(standby):
    session = Session(standby)
    session.next("registered")
    (offer,) = session.next("offer")
    session.driver.declineOffer(offer["id"])
    session.driver.stop()
    session.driver.join()
    print("a standby redirects to the master")


def main():
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    try:
        framework_id = launches_follows_and_kills(addresses[0])
        session = acknowledges_itself(addresses[0], framework_id)
        session = takes_over(addresses[0], session, framework_id)
        ends(addresses[0], session, framework_id)
        for standby in addresses[1:]:
            is_redirected(standby)
    except Failed as failed:
        print(f"FAILED: {failed}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
