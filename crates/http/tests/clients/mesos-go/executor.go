package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/executor"
	"github.com/mesos/mesos-go/api/v1/lib/executor/calls"
	"github.com/mesos/mesos-go/api/v1/lib/executor/config"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpexec"
)

// tasks are those of an executor: a process for each, whose line of the shell is the task's data.
type tasks struct {
	sync.Mutex
	sender    calls.Sender
	processes map[string]*os.Process
	killed    map[string]bool
}

// execute runs an executor until it is shut down. What it prints stands in its sandbox.
func execute(codec string) error {
	cfg, err := config.FromEnv()
	if err != nil {
		return err
	}
	client := httpcli.New(
		httpcli.Endpoint("http://"+cfg.AgentEndpoint+"/api/v1/executor"),
		httpcli.Codec(codecOf(codec)),
	)
	of := &tasks{
		sender:    calls.SenderWith(httpexec.NewSender(client.Send), calls.Framework(cfg.FrameworkID), calls.Executor(cfg.ExecutorID)),
		processes: map[string]*os.Process{},
		killed:    map[string]bool{},
	}
	answer, err := of.sender.Send(context.Background(), calls.NonStreaming(calls.Subscribe(nil, nil)))
	if err != nil {
		return fmt.Errorf("SUBSCRIBE: %v", err)
	}
	defer answer.Close()
	for {
		var event executor.Event
		if err := answer.Decode(&event); err != nil {
			return err
		}
		switch event.Type {
		case executor.Event_SUBSCRIBED:
			subscribed := event.GetSubscribed()
			if id := subscribed.GetExecutorInfo().ExecutorID.Value; id != cfg.ExecutorID {
				return fmt.Errorf("subscribed as %q, expected %q", id, cfg.ExecutorID)
			}
			fmt.Println("subscribed at", subscribed.GetAgentInfo().Hostname)
		case executor.Event_LAUNCH:
			if err := of.launch(event.GetLaunch().Task); err != nil {
				return err
			}
		case executor.Event_KILL:
			of.kill(event.GetKill().TaskID.Value)
		case executor.Event_MESSAGE:
			text := fmt.Sprintf("%s: %s", event.GetMessage().Data, strings.Join(of.running(), " "))
			if err := calls.SendNoData(context.Background(), of.sender, calls.NonStreaming(calls.Message([]byte(text)))); err != nil {
				return err
			}
		case executor.Event_SHUTDOWN:
			for _, task := range of.running() {
				of.kill(task)
			}
			os.Exit(3) // so that it can be told from an end by a signal
		case executor.Event_ERROR:
			return fmt.Errorf("the agent says %q", event.GetError().GetMessage())
		}
	}
}

// launch starts the process of a task, and waits for its end in the background.
func (of *tasks) launch(task mesos.TaskInfo) error {
	id := task.TaskID.Value
	command := exec.Command("/bin/sh", "-c", string(task.Data))
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return of.tell(id, mesos.TASK_FAILED, err.Error())
	}
	of.Lock()
	of.processes[id] = command.Process
	of.Unlock()
	if err := of.tell(id, mesos.TASK_RUNNING, ""); err != nil {
		return err
	}
	go func() {
		err := command.Wait()
		of.Lock()
		delete(of.processes, id)
		killed := of.killed[id]
		of.Unlock()
		state := mesos.TASK_FINISHED
		if killed {
			state = mesos.TASK_KILLED
		} else if err != nil {
			state = mesos.TASK_FAILED
		}
		if err := of.tell(id, state, fmt.Sprint("the process ended: ", err)); err != nil {
			fmt.Println(err)
		}
	}()
	return nil
}

func (of *tasks) kill(task string) {
	of.Lock()
	defer of.Unlock()
	if process := of.processes[task]; process != nil {
		of.killed[task] = true
		syscall.Kill(-process.Pid, syscall.SIGKILL)
	}
}

// running returns the ids of the tasks that run, in order.
func (of *tasks) running() []string {
	of.Lock()
	defer of.Unlock()
	names := []string{}
	for name := range of.processes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// tell sends a status.
func (of *tasks) tell(task string, state mesos.TaskState, message string) error {
	uuid := make([]byte, 16)
	if _, err := rand.Read(uuid); err != nil {
		return err
	}
	uuid[6], uuid[8] = uuid[6]&0x0f|0x40, uuid[8]&0x3f|0x80 // of version 4: Mesos refuses one without a version
	source, now := mesos.SOURCE_EXECUTOR, float64(time.Now().UnixNano())/1e9
	status := mesos.TaskStatus{
		TaskID:    mesos.TaskID{Value: task},
		State:     &state,
		Message:   &message,
		Source:    &source,
		Timestamp: &now,
		UUID:      uuid,
	}
	if err := calls.SendNoData(context.Background(), of.sender, calls.NonStreaming(calls.Update(status))); err != nil {
		return fmt.Errorf("UPDATE %s of %s: %v", state, task, err)
	}
	return nil
}
