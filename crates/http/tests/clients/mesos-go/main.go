// A framework written with mesos-go: it runs a session against a master and checks all that it is told.
//
// Usage: session MASTER CODEC [STANDBY]
//
// MASTER and STANDBY are HOST:PORT, the standby redirects to the master; CODEC is json or protobuf. The status is 0 if all
// was as it should be, otherwise 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpsched"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
)

// patience is the longest time that any one event may take.
const patience = 20 * time.Second

// session is a subscription with its events, in order.
type session struct {
	ctx    context.Context
	end    context.CancelFunc
	caller calls.Caller
	id     string
	events chan scheduler.Event
	ended  chan error
}

func subscribe(master, codec string, id string) (*session, error) {
	mediaType := codecs.MediaTypeProtobuf
	if codec == codecs.NameJSON {
		mediaType = codecs.MediaTypeJSON
	}
	client := httpcli.New(
		httpcli.Endpoint("http://"+master+"/api/v1/scheduler"),
		httpcli.Codec(codecs.ByMediaType[mediaType]),
	)
	timeout := 60.0
	info := &mesos.FrameworkInfo{
		User:            "root",
		Name:            "mesos-go session",
		Roles:           []string{"web"},
		FailoverTimeout: &timeout,
		Capabilities:    []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE}},
	}
	if id != "" {
		info.ID = &mesos.FrameworkID{Value: id}
	}
	s := &session{caller: httpsched.NewCaller(client), events: make(chan scheduler.Event, 1000), ended: make(chan error, 1)}
	s.ctx, s.end = context.WithCancel(context.Background())
	answer, err := s.caller.Call(s.ctx, calls.Subscribe(info))
	if err != nil {
		return nil, fmt.Errorf("SUBSCRIBE: %v", err)
	}
	go func() {
		defer answer.Close()
		for {
			var event scheduler.Event
			if err := answer.Decode(&event); err != nil {
				s.ended <- err
				return
			}
			s.events <- event
		}
	}()
	return s, nil
}

// call sends a call to the master, which queues it.
func (s *session) call(call *scheduler.Call) error {
	answer, err := s.caller.Call(s.ctx, call.With(calls.Framework(s.id)))
	if answer != nil {
		answer.Close()
	}
	if err != nil {
		return fmt.Errorf("%v: %v", call.Type, err)
	}
	return nil
}

// next returns the next event of a type. Offers before it are declined; other events are dropped.
func (s *session) next(wanted scheduler.Event_Type) (*scheduler.Event, error) {
	deadline := time.After(patience)
	var seen []string
	for {
		var event scheduler.Event
		select {
		case event = <-s.events:
		case <-deadline:
			return nil, fmt.Errorf("no %v within %v, only %v", wanted, patience, seen)
		}
		if event.Type == wanted {
			return &event, nil
		}
		switch event.Type {
		case scheduler.Event_ERROR:
			return nil, fmt.Errorf("expected %v, found the error %q", wanted, event.GetError().GetMessage())
		case scheduler.Event_OFFERS:
			for _, offer := range event.GetOffers().GetOffers() {
				if err := s.call(calls.Decline(offer.ID).With(calls.RefuseSeconds(time.Hour))); err != nil {
					return nil, err
				}
			}
		}
		seen = append(seen, event.Type.String())
	}
}

// subscribed reads SUBSCRIBED.
func (s *session) subscribed() error {
	event, err := s.next(scheduler.Event_SUBSCRIBED)
	if err != nil {
		return err
	}
	s.id = event.GetSubscribed().GetFrameworkID().GetValue()
	if version := event.GetSubscribed().GetMasterInfo().GetVersion(); version != "1.11.0" {
		return fmt.Errorf("the version of the master is %q", version)
	}
	_, err = s.next(scheduler.Event_HEARTBEAT)
	return err
}

// offers returns an offer of all that each of so many agents has. Offers of a part are declined for now.
func (s *session) offers(agents int) ([]mesos.Offer, error) {
	found := []mesos.Offer{}
	for len(found) < agents {
		event, err := s.next(scheduler.Event_OFFERS)
		if err != nil {
			return nil, err
		}
		for _, offer := range event.GetOffers().GetOffers() {
			if cpus, _ := resources.CPUs(offer.Resources...); cpus == 4 {
				found = append(found, offer)
			} else if err := s.call(calls.Decline(offer.ID).With(calls.RefuseSeconds(0))); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// statuses acknowledges statuses until each task has had the states expected of it, in their order.
func (s *session) statuses(expected map[string][]mesos.TaskState) (map[string]mesos.TaskStatus, error) {
	left := map[string][]mesos.TaskState{}
	for task, states := range expected {
		left[task] = states
	}
	last := map[string]mesos.TaskStatus{}
	for len(left) > 0 {
		event, err := s.next(scheduler.Event_UPDATE)
		if err != nil {
			return nil, fmt.Errorf("%v, while statuses were expected: %v", err, left)
		}
		status := event.GetUpdate().GetStatus()
		task, state := status.TaskID.Value, status.GetState()
		if len(left[task]) == 0 || left[task][0] != state {
			return nil, fmt.Errorf("task %s is %v (%s), expected %v", task, state, status.GetMessage(), left[task])
		}
		if left[task] = left[task][1:]; len(left[task]) == 0 {
			delete(left, task)
		}
		last[task] = status
		if uuid := status.GetUUID(); len(uuid) > 0 {
			if err := s.call(calls.Acknowledge(status.GetAgentID().GetValue(), task, uuid)); err != nil {
				return nil, err
			}
		}
	}
	return last, nil
}

// reconcile asks for the states of tasks, and checks that the answers are the master's own.
func (s *session) reconcile(tasks map[string]string, expected map[string][]mesos.TaskState) error {
	if err := s.call(calls.Reconcile(calls.ReconcileTasks(tasks))); err != nil {
		return err
	}
	found, err := s.statuses(expected)
	if err != nil {
		return err
	}
	for task, status := range found {
		if status.GetReason() != mesos.REASON_RECONCILIATION || len(status.GetUUID()) > 0 {
			return fmt.Errorf("the answer for %s is %v", task, status)
		}
	}
	return nil
}

func task(offer mesos.Offer, id string, cpus float64, command string) mesos.TaskInfo {
	label := "mesos-go"
	return mesos.TaskInfo{
		Name:    id,
		TaskID:  mesos.TaskID{Value: id},
		AgentID: offer.AgentID,
		Command: &mesos.CommandInfo{Value: &command},
		Labels:  &mesos.Labels{Labels: []mesos.Label{{Key: "of", Value: &label}}},
		Resources: []mesos.Resource{
			resources.NewCPUs(cpus).Resource,
			resources.NewMemory(64).Resource,
		},
	}
}

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
	if len(os.Args) < 3 {
		fmt.Println("usage: session MASTER json|protobuf [STANDBY]")
		os.Exit(1)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}
