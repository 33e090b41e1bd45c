package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding"
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
	client := httpcli.New(
		httpcli.Endpoint("http://"+master+"/api/v1/scheduler"),
		httpcli.Codec(codecOf(codec)),
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

// codecOf returns the encoding of that name.
func codecOf(name string) encoding.Codec {
	if name == codecs.NameJSON {
		return codecs.ByMediaType[codecs.MediaTypeJSON]
	}
	return codecs.ByMediaType[codecs.MediaTypeProtobuf]
}
