// A framework and an executor written with mesos-go: they check all that they are told. The status is 0 if all was as it should be,
// otherwise 1.
//
// Usage: session MASTER CODEC [STANDBY]
//
//	session agents MASTER CODEC
//
// MASTER and STANDBY are HOST:PORT, the standby redirects to the master; CODEC is json or protobuf. The first one is a session of a
// framework with a master. The second one launches tasks on agents that run things: in an executor, which is this program started by
// an agent as `session executor CODEC`, and as a group of the agent's default executor.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
)

func run(master, codec string, standbys []string) error {
	s, err := subscribe(master, codec, "")
	if err != nil {
		return err
	}
	if err := s.subscribed(); err != nil {
		return err
	}
	offers, err := s.offers(3)
	if err != nil {
		return err
	}
	first := offers[0]
	for _, other := range offers[1:] {
		if err := s.call(calls.Decline(other.ID).With(calls.RefuseSeconds(time.Hour))); err != nil {
			return err
		}
	}
	launch := calls.OpLaunch(task(first, "short", 0.5, "sleep 0.3"), task(first, "long", 0.5, "sleep 600"), task(first, "huge", 1000, "true"))
	accept := calls.Accept(calls.OfferOperations{launch}.WithOffers(first.ID)).With(calls.RefuseSeconds(time.Hour))
	if err := s.call(accept); err != nil {
		return err
	}
	running, finished, killed := mesos.TASK_RUNNING, mesos.TASK_FINISHED, mesos.TASK_KILLED
	_, err = s.statuses(map[string][]mesos.TaskState{"huge": {mesos.TASK_ERROR}, "short": {running, finished}, "long": {running}})
	if err != nil {
		return err
	}
	fmt.Println("tasks run, and one ends")

	agent := first.AgentID.Value
	expected := map[string][]mesos.TaskState{"long": {running}, "nobody": {mesos.TASK_LOST}}
	if err := s.reconcile(map[string]string{"long": agent, "nobody": ""}, expected); err != nil {
		return err
	}
	if err := s.reconcile(nil, map[string][]mesos.TaskState{"long": {running}}); err != nil {
		return err
	}
	fmt.Println("states are reconciled")

	if err := s.call(calls.Kill("long", agent)); err != nil {
		return err
	}
	if _, err := s.statuses(map[string][]mesos.TaskState{"long": {killed}}); err != nil {
		return err
	}
	fmt.Println("a task is killed")

	for _, call := range []*scheduler.Call{calls.Suppress(), calls.ReviveWith([]string{"web"})} {
		if err := s.call(call); err != nil {
			return err
		}
	}
	if _, err := s.offers(3); err != nil {
		return err
	}
	fmt.Println("what was declined or in use is offered again")

	second, err := subscribe(master, codec, s.id)
	if err != nil {
		return err
	}
	if err := second.subscribed(); err != nil {
		return err
	}
	event, err := s.next(scheduler.Event_ERROR)
	if err != nil {
		return err
	}
	if message := event.GetError().GetMessage(); message != "Framework failed over" {
		return errors.New(message)
	}
	s.end()
	fmt.Println("another instance takes over")

	if err := second.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN}); err != nil {
		return err
	}
	select {
	case <-second.ended:
	case <-time.After(patience):
		return errors.New("the stream goes on after TEARDOWN")
	}
	late, err := subscribe(master, codec, second.id)
	if err != nil {
		return err
	}
	event, err = late.next(scheduler.Event_ERROR)
	if err != nil {
		return err
	}
	if message := event.GetError().GetMessage(); message != "Framework has been removed" {
		return errors.New(message)
	}
	fmt.Println("a framework is torn down")

	for _, standby := range standbys {
		s, err := subscribe(standby, codec, "")
		if err != nil {
			return err
		}
		if err := s.subscribed(); err != nil {
			return err
		}
		if err := s.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN}); err != nil {
			return err
		}
		fmt.Println("a standby redirects to the master")
	}
	return nil
}

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "executor":
		err = execute(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "agents":
		err = runOnAgents(os.Args[2], os.Args[3])
	case len(os.Args) >= 3:
		err = run(os.Args[1], os.Args[2], os.Args[3:])
	default:
		err = errors.New("usage: session MASTER json|protobuf [STANDBY], or session agents MASTER json|protobuf")
	}
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}
