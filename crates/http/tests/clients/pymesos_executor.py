"""An executor written with pymesos: it runs a process for each of its tasks.

The text of a task's data is a line of the shell. A task has ended when its process has; a task that is killed has its process killed.
What the framework sends comes back, with the ids of the tasks that run. A status is kept until the agent has acknowledged it: the
driver lists what is kept when it subscribes again.
"""

import base64
import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import pymesos


class Tasks(pymesos.Executor):
    def __init__(self):
        self.lock = threading.Lock()
        self.processes = {}
        self.killed = set()

    def registered(self, driver, executor_info, framework_info, agent_info):
        print("registered", executor_info["executor_id"]["value"], "at", agent_info["hostname"], flush=True)

    def reregistered(self, driver, agent_info):
        print("registered again", flush=True)
        for update in list(driver.updates.values()):  # those that came while the driver subscribed are not in its list
            send(driver, update["status"])

    def disconnected(self, driver):
        print("disconnected", flush=True)

    def launchTask(self, driver, task):
        task_id = task["task_id"]["value"]
        line = base64.b64decode(task["data"]).decode()
        process = subprocess.Popen(
            ["/bin/sh", "-c", line],
            env=dict(os.environ, TASK=task_id),
            start_new_session=True,
        )
        with self.lock:
            self.processes[task_id] = process
        tell(driver, task_id, "TASK_RUNNING")
        threading.Thread(target=self.wait, args=(driver, task_id, process), daemon=True).start()

    def wait(self, driver, task_id, process):
        status = process.wait()
        end(process)
        with self.lock:
            del self.processes[task_id]
            killed = task_id in self.killed
        state = "TASK_KILLED" if killed else "TASK_FINISHED" if status == 0 else "TASK_FAILED"
        tell(driver, task_id, state, f"the process ended with {status}")

    def killTask(self, driver, task_id):
        task_id = task_id["value"]
        with self.lock:
            process = self.processes.get(task_id)
            if process:
                self.killed.add(task_id)
        if process:
            end(process)

    def frameworkMessage(self, driver, data):
        with self.lock:
            running = sorted(self.processes)
        text = f"{base64.b64decode(data).decode()}: {' '.join(running)}"
        driver.sendFrameworkMessage(base64.b64encode(text.encode()).decode())

    def shutdown(self, driver):
        print("shutdown", flush=True)
        with self.lock:
            for process in self.processes.values():
                end(process)

    def error(self, driver, message):
        print("error", message, flush=True)


def end(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def tell(driver, task_id, state, message=""):
    number = uuid.uuid4()
    status = {
        "task_id": {"value": task_id},
        "state": state,
        "message": message,
        "source": "SOURCE_EXECUTOR",
        "timestamp": time.time(),
        "uuid": base64.b64encode(number.bytes).decode(),
    }
    driver.updates[number] = {"status": status}
    send(driver, status)


def send(driver, status):
    for is_last in (False, True):
        try:
            driver.sendStatusUpdate(status)
            return
        except Exception as error:
            # The connection was idle for long, and is closed: the driver opens another one, but does not send again by itself. Or the
            # agent is away: the status is sent when the driver has subscribed again.
            if is_last:
                print("not sent yet:", status["task_id"]["value"], status["state"], error, flush=True)


driver = pymesos.MesosExecutorDriver(Tasks())
driver.run()
sys.exit(0)
