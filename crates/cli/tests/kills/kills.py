"""Kills tasks, executors and agents at random, and checks that no task is lost, doubled or left behind.

Usage: kills.py APPORTION SECONDS [SEED]

APPORTION is the program. It runs as a master and three agents; an agent that was killed with SIGKILL is started again with the same
folder and port. A pymesos framework that checkpoints keeps tasks running: some by an executor of its own (pymesos, too), some as plain
commands. Another framework, which does not checkpoint, runs executors that must end with their agent. An executor without tasks gets
another task, or is told to shut down. At the end the framework's own records, the master, the agents and the processes of this machine
must agree; and once the frameworks have ended all of theirs, the agents must be offered whole again. The status is 0 if so, otherwise 1.
"""

import base64
import collections
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import pymesos  # on the main thread: it installs a handler of signals

AGENTS = 3
# The tasks that a framework keeps running.
CHECKPOINTED, PLAIN = 24, 6
# The time in which all must have settled after the last kill, in seconds: a status is sent again after 10, 20, ... s.
SETTLE = 90
TERMINAL = {"TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR", "TASK_LOST", "TASK_DROPPED", "TASK_GONE",
            "TASK_GONE_BY_OPERATOR", "TASK_UNKNOWN"}
EXECUTOR = os.path.normpath(os.path.join(os.path.dirname(__file__), "../../../http/tests/clients/pymesos_executor.py"))
# A task of an executor: a shell, and what that has started. The executor kills its group.
LINE = "sleep 86400 & sleep 86400 & wait"
# Those of a command, and an executor, have a process in a session of its own, too.
ESCAPED = "setsid sleep 86400 & "
# What an agent has, and what a task and an executor take: cpus and MB.
WHOLE, OF_TASK, OF_EXECUTOR = (8, 8000), (0.05, 32), (0.05, 64)


class Task:
    def __init__(self, name, executor, agent, checkpoint):
        self.name, self.executor, self.agent, self.checkpoint = name, executor, agent, checkpoint
        self.is_sent = False  # its launch has gone to the master: a kill does not overtake it
        self.killed = False  # the framework has asked for its end
        self.hit = None  # what was done to its processes
        self.statuses = []  # (state, uuid, reason, message), each UUID once
        self.launched = time.monotonic()

    @property
    def states(self):
        return [status[0] for status in self.statuses]

    @property
    def is_over(self):
        return any(state in TERMINAL for state in self.states)

    def __str__(self):
        told = ", ".join(f"{state} {reason or ''}" for state, _, reason, _ in self.statuses)
        return f"{self.name} ({self.executor or 'command'} on {self.agent}; killed: {self.killed}, hit: {self.hit}): {told}"


class Driver(pymesos.MesosSchedulerDriver):
    def _send(self, body, path="/api/v1/scheduler", method="POST", headers=None):
        # The default of pymesos is one dictionary for all drivers: a call may have the stream id of another one.
        return super()._send(body, path, method, dict(headers or {}))

    def shutdown_executor(self, executor, agent):  # pymesos has none
        self._send({"type": "SHUTDOWN", "framework_id": {"value": self.framework_id},
                    "shutdown": {"executor_id": {"value": executor}, "agent_id": {"value": agent}}})


class Framework(pymesos.Scheduler):
    """Keeps a number of tasks running, and records what it is told of each."""

    def __init__(self, name, master, tasks, checkpoint, run, draws):
        self.name, self.most, self.checkpoint, self.run, self.draws = name, tasks, checkpoint, run, draws
        self.lock = threading.RLock()
        self.tasks = {}
        self.launches = True
        self.executors = 0
        self.idle = set()  # executors without tasks, which get another one: (executor, agent)
        self.dismissed = set()  # executors that were told to shut down
        self.offered = {}  # the cpus and MB of the latest offer of each agent
        self.faults = []
        self.counted = 0
        framework = {
            "user": "root", "name": name, "roles": ["kills"], "failover_timeout": 3600, "checkpoint": checkpoint,
            "capabilities": [{"type": kind} for kind in ("MULTI_ROLE", "PARTITION_AWARE", "TASK_KILLING_STATE")],
        }
        self.driver = Driver(self, framework, master)
        self.driver.start()

    def live(self):
        with self.lock:
            return [task for task in self.tasks.values() if not task.is_over]

    def resourceOffers(self, driver, offers):
        for offer in offers:
            agent, tasks = offer["agent_id"]["value"], []
            with self.lock:
                room = self.most - len(self.live()) if self.launches else 0
                has = {name: sum(r["scalar"]["value"] for r in offer["resources"] if r["name"] == name) for name in ("cpus", "mem")}
                self.offered[agent] = tuple(has.values())
                fitting = int(min(has["cpus"] / (OF_TASK[0] + OF_EXECUTOR[0]), has["mem"] / (OF_TASK[1] + OF_EXECUTOR[1])))
                for _ in range(min(room, 4, fitting)):
                    tasks.append(self.new_task(offer["agent_id"]))
            try:
                if tasks:
                    driver.launchTasks(offer["id"], tasks, {"refuse_seconds": 0.5})
                else:
                    driver.declineOffer(offer["id"], {"refuse_seconds": 1})
            except Exception as error:  # the offer is gone; if tasks were in it they get a status
                print(f"{self.name}: an answer to an offer of {agent} failed: {error}", flush=True)
            with self.lock:
                for task in tasks:
                    self.tasks[task["task_id"]["value"]].is_sent = True

    def new_task(self, agent_id):
        agent = agent_id["value"]
        self.counted += 1
        name, executor = f"{self.name}-{self.counted}", None
        if not self.checkpoint or self.draws.random() < 0.7:
            of_agent = {task.executor for task in self.live() if task.agent == agent and task.executor}
            of_agent |= {executor for executor, on in self.idle if on == agent}
            of_agent = sorted(of_agent - self.dismissed)
            executor = self.draws.choice(of_agent) if of_agent and self.draws.random() < 0.7 else None
            if executor is None:
                self.executors += 1
                executor = f"{self.name}-executor-{self.executors}"
        self.tasks[name] = Task(name, executor, agent, self.checkpoint)
        mine = [{"name": "KILLS_RUN", "value": self.run}]
        task = {
            "name": name, "task_id": {"value": name}, "agent_id": agent_id,
            "resources": amounts(OF_TASK),
        }
        if executor is None:
            task["command"] = {"value": ESCAPED + LINE, "environment": {"variables": mine + [{"name": "TASK", "value": name}]}}
            return task
        task["data"] = base64.b64encode(LINE.encode()).decode()
        task["executor"] = {
            "type": "CUSTOM", "executor_id": {"value": executor}, "framework_id": {"value": self.driver.framework_id},
            "command": {
                "value": f"{ESCAPED} exec {sys.executable} {EXECUTOR}",
                "environment": {"variables": mine + [{"name": "EXECUTOR", "value": executor}]},
            },
            "resources": amounts(OF_EXECUTOR),
        }
        return task

    def dismiss_idle(self, state, share=1.0):
        """Tells executors without tasks to shut down, those once more that were told before. The others get another task."""
        mine = [each for each in state["frameworks"] if each["id"] == self.driver.framework_id]
        known = {(each["executor_id"], each["slave_id"]) for each in (mine[0]["executors"] if mine else [])}
        with self.lock:
            busy = {task.executor for task in self.live()}
            idle = sorted((executor, agent) for executor, agent in known if executor not in busy)
            told = [each for each in idle if each[0] in self.dismissed or self.draws.random() < share]
            self.dismissed |= {executor for executor, _ in told}
            self.idle = set(idle) - set(told)
        for executor, agent in told:
            self.driver.shutdown_executor(executor, agent)
        return len(idle)

    def statusUpdate(self, driver, status):
        name, state, uuid = status["task_id"]["value"], status["state"], status.get("uuid")
        with self.lock:
            task = self.tasks.get(name)
            if task is None:
                self.faults.append(f"a status of a task that was never launched: {name} {state}")
                return
            if any(uuid == known for _, known, _, _ in task.statuses if uuid):
                return  # it was sent again before its acknowledgement came
            if uuid is None and state in task.states:
                return  # told by the master, and by the agent before
            if uuid is None and state == "TASK_UNKNOWN" and task.is_over and task.killed:
                return  # the kill has crossed the end: the master does not know the task any more
            if task.is_over:
                self.faults.append(f"{state} after the end: {status.get('reason')} {status.get('message')}: {task}")
            task.statuses.append((state, uuid, status.get("reason"), status.get("message")))

    def error(self, driver, message):
        self.faults.append(f"{self.name}: error {message}")


class Cluster:
    """A master and agents, each in a process and, below a folder, in a folder of its own."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.master = f"127.0.0.1:{free_port()}"
        self.ports = [free_port() for _ in range(AGENTS)]
        self.agents = [None] * AGENTS
        self.log = [open(os.path.join(folder, f"agent-{index}.log"), "ab") for index in range(AGENTS)]
        log = open(os.path.join(folder, "master.log"), "ab")
        self.master_process = subprocess.Popen(
            [program, "master", f"--port={self.master.split(':')[1]}", f"--work_dir={folder}/master",
             "--allocation_interval=200ms"],
            stdout=log, stderr=log, start_new_session=True, env=os.environ)
        wait(lambda: get(self.master, "/health") is not None, 20, "the master answers")
        for index in range(AGENTS):
            self.start(index)
        wait(lambda: len([a for a in get(self.master, "/slaves")["slaves"] if a["active"]]) == AGENTS, 20,
             "all agents are registered")

    def start(self, index):
        self.agents[index] = subprocess.Popen(
            [self.program, "agent", f"--master={self.master}", "--ip=127.0.0.1", f"--port={self.ports[index]}",
             f"--work_dir={self.folder}/agent-{index}", f"--resources=cpus:{WHOLE[0]};mem:{WHOLE[1]};disk:1000;ports:[31000-31100]",
             "--containerizers=mesos", "--executor_reregistration_timeout=15secs"],  # pymesos waits for up to 8 s
            stdout=self.log[index], stderr=self.log[index], start_new_session=True)

    def kill(self, index):
        self.agents[index].kill()
        self.agents[index].wait()

    def end(self):
        for process in [self.master_process, *self.agents]:
            process.terminate()
            process.wait()


class Failed(Exception):
    """The run cannot go on."""


def amounts(cpus_and_mem):
    return [{"name": name, "type": "SCALAR", "scalar": {"value": amount}} for name, amount in zip(("cpus", "mem"), cpus_and_mem)]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(address, path):
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else {}
    except (OSError, ValueError):
        return None


def wait(holds, seconds, what):
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def processes(run):
    """Returns the processes of this run: for each its variables. Those that have just been forked count as their parents."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                variables = dict(pair.split(b"=", 1) for pair in file.read().split(b"\0") if b"=" in pair)
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if variables.get(b"KILLS_RUN") == run.encode():
            text = {name.decode(): value.decode() for name, value in variables.items() if name in (b"TASK", b"EXECUTOR")}
            found[int(entry)] = dict(text, command=command)
    return found


def strike(pid, sign=signal.SIGKILL):
    try:
        os.kill(pid, sign)
        return True
    except ProcessLookupError:
        return False


def run_kills(cluster, framework, plain, seconds, run, draws):
    """Kills until the time is over. Returns how much was killed."""
    counts = collections.Counter()
    down = {}  # agents that are to be started again, and when
    dismissal = time.monotonic()
    deadline = dismissal + seconds
    while time.monotonic() < deadline or down:
        time.sleep(draws.uniform(0.05, 0.6))
        now = time.monotonic()
        for index in [index for index, at in down.items() if at <= now]:
            cluster.start(index)
            del down[index]
        for index, agent in enumerate(cluster.agents):
            if index not in down and agent.poll() is not None:
                raise Failed(f"agent {index} has ended by itself, with status {agent.returncode}")
        if now >= deadline:
            continue
        if now >= dismissal:
            state, dismissal = get(cluster.master, "/state"), now + 5
            for each in (framework, plain) if state else ():
                each.dismiss_idle(state, 0.5)
        kind = draws.choices(["task", "process", "executor", "agent"], [60, 15, 10, 8])[0]
        if kind == "agent":
            index = draws.randrange(AGENTS)
            if index not in down:
                cluster.kill(index)
                down[index] = now + draws.uniform(0.2, 4)
                counts["agents"] += 1
            continue
        tasks = [task for task in (framework if draws.random() < 0.9 else plain).live() if task.is_sent]
        if not tasks:
            continue
        task = draws.choice(tasks)
        if kind == "task":
            task.killed = True
            try:
                (framework if task.checkpoint else plain).driver.killTask({"value": task.name})
                counts["tasks"] += 1
            except Exception as error:
                raise Failed(f"a kill was refused: {error}: {task}") from error
        elif kind == "process":
            mine = [pid for pid, of in processes(run).items() if of.get("TASK") == task.name]
            if mine:
                task.hit = "process"
                counts["processes"] += strike(draws.choice(sorted(mine)))
        elif task.executor:
            mine = [pid for pid, of in processes(run).items()
                    if of.get("EXECUTOR") == task.executor and "TASK" not in of and of["command"].endswith(EXECUTOR)]
            if mine:
                owner = framework if task.checkpoint else plain
                with owner.lock:
                    for other in owner.tasks.values():
                        if other.executor == task.executor and not other.is_over:
                            other.hit = "executor"
                counts["executors"] += strike(mine[0])
    return counts


def faults(cluster, framework, plain, run):
    """Compares what is known of each task by its framework, by the master, by the agents, and what runs. Returns the differences."""
    found = framework.faults + plain.faults
    running = collections.defaultdict(list)
    executors = set()
    for pid, of in processes(run).items():
        if "TASK" in of:
            running[of["TASK"]].append(of["command"])
        elif "EXECUTOR" in of:
            executors.add(of["EXECUTOR"])
    state = get(cluster.master, "/state")
    if state is None:
        return [*found, "the master does not answer"]
    of_master = {task["id"]: task["state"] for f in state["frameworks"] for task in f["tasks"]}
    of_agents, executors_of_agents = {}, set()
    for port in cluster.ports:
        for f in (get(f"127.0.0.1:{port}", "/state") or {"frameworks": []})["frameworks"]:
            for executor in f["executors"]:
                executors_of_agents.add(executor["executor_id"] if "executor_id" in executor else executor["id"])
                for task in executor["tasks"] + executor["queued_tasks"]:
                    of_agents[task["id"]] = task.get("state")
    everything = {**framework.tasks, **plain.tasks}
    for task in everything.values():
        ends = [status for status in task.statuses if status[0] in TERMINAL]
        name = task.name
        if not task.statuses:
            found.append(f"nothing was ever told: {task}")
        if ends:
            if len(ends) > 1:
                found.append(f"ended more than once: {task}")
            if name in running:
                found.append(f"ended, but left behind: {running[name]}: {task}")
            if name in of_master or name in of_agents:
                found.append(f"ended, but listed: master {of_master.get(name)}, agent {of_agents.get(name)}: {task}")
            unasked = task.checkpoint and not task.killed and not task.hit
            if unasked and not (ends[0][0] == "TASK_DROPPED" and "TASK_RUNNING" not in task.states):
                found.append(f"lost: {ends[0][3]}: {task}")
        else:
            if task.killed:
                found.append(f"the kill was lost: {task}")
            if of_master.get(name) != "TASK_RUNNING" or of_agents.get(name) != "TASK_RUNNING":
                found.append(f"not running: master {of_master.get(name)}, agent {of_agents.get(name)}: {task}")
            shells = [command for command in running[name] if LINE in command and command.startswith("/bin/sh -c")]
            if not task.hit and len(shells) != 1:
                found.append(f"runs {len(shells)} times: {running[name]}: {task}")
    found += [f"a task that nobody launched: {name}" for name in {*of_master, *of_agents, *running} - set(everything)]
    known = {task.executor for task in everything.values() if task.executor}
    live = executors_of_agents & known
    found += [f"an executor without an agent: {name}" for name in executors - live]
    found += [f"an executor without a process: {name}" for name in live - executors]
    return found


def held(cluster, framework, plain):
    """Ends all that the frameworks have. Returns what the agents still hold: in the eyes of the master, and of its allocator."""
    state = get(cluster.master, "/state")
    if state is None:
        return ["the master does not answer"]
    found = []
    for each in (framework, plain):
        for task in each.live():
            task.killed = True
            each.driver.killTask({"value": task.name})
        each.dismiss_idle(state)
    for agent in state["slaves"]:
        used = {name: agent["used_resources"].get(name) for name in ("cpus", "mem")}
        if any(used.values()):
            found.append(f"held though nothing runs: {used} of {agent['id']}")
        whole = [each.offered.get(agent["id"]) for each in (framework, plain)]
        if WHOLE not in whole:
            found.append(f"held though nothing runs: {agent['id']} is offered with {whole} of {WHOLE}")
    return found


def main():
    program, seconds = os.path.abspath(sys.argv[1]), float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    run, draws = f"{os.getpid()}-{seed}", random.Random(seed)
    folder = tempfile.mkdtemp(prefix="apportion-kills-")
    cluster, is_good = None, False
    begun = time.monotonic()
    try:
        cluster = Cluster(program, folder)
        framework = Framework("kept", cluster.master, CHECKPOINTED, True, run, draws)
        plain = Framework("plain", cluster.master, PLAIN, False, run, draws)
        wait(lambda: len(framework.live()) >= CHECKPOINTED // 2, 30, "tasks run")
        counts = run_kills(cluster, framework, plain, seconds, run, draws)
        framework.launches = plain.launches = False
        settled = time.monotonic() + SETTLE
        found = faults(cluster, framework, plain, run)
        while found and time.monotonic() < settled:
            time.sleep(1)
            found = faults(cluster, framework, plain, run)
        took = time.monotonic() - (settled - SETTLE)
        running = len(framework.live()) + len(plain.live())
        ended = time.monotonic() + SETTLE
        remains = held(cluster, framework, plain)
        while remains and time.monotonic() < ended:
            time.sleep(1)
            remains = held(cluster, framework, plain) + faults(cluster, framework, plain, run)
        found = remains + [fault for fault in found if fault not in remains]
        tasks = {**framework.tasks, **plain.tasks}.values()
        states = collections.Counter(state for task in tasks for state in set(task.states) & TERMINAL)
        print(f"seed {seed}: {seconds:.0f} s; killed {counts['tasks']} tasks, {counts['processes']} processes, "
              f"{counts['executors']} executors, {counts['agents']} agents; {len(tasks)} tasks in "
              f"{framework.executors + plain.executors} executors: "
              + ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
              + f", {running} running; settled after {took:.0f} s; {len(found)} faults")
        for fault in found[:40]:
            print("FAULT", fault)
        for each in (framework, plain):
            each.driver.stop(failover=True)
            ended = f"frameworkId={each.driver.framework_id}".encode()
            urllib.request.urlopen(f"http://{cluster.master}/teardown", ended, timeout=20).close()
        wait(lambda: not processes(run), 30, "nothing of the frameworks is left")
        is_good = not found
    except Failed as failed:
        print("FAULT", failed, processes(run) if cluster else "")
    finally:
        if cluster:
            cluster.end()
        for pid in processes(run):
            strike(pid)
    if is_good:
        shutil.rmtree(folder)
    else:
        print(f"logs: {folder}")
    sys.stdout.flush()
    os._exit(0 if is_good else 1)  # the driver has threads that wait


main()
