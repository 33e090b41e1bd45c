package main

import (
	"fmt"
	"os"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
)

// small returns what an executor of this session or one of its tasks needs.
func small() []mesos.Resource {
	return []mesos.Resource{resources.NewCPUs(0.1).Resource, resources.NewMemory(32).Resource}
}

// offer returns the next offer; others that come with it are declined.
func (s *session) offer() (mesos.Offer, error) {
	event, err := s.next(scheduler.Event_OFFERS)
	if err != nil {
		return mesos.Offer{}, err
	}
	offers := event.GetOffers().GetOffers()
	for _, other := range offers[1:] {
		if err := s.call(calls.Decline(other.ID).With(calls.RefuseSeconds(0))); err != nil {
			return mesos.Offer{}, err
		}
	}
	return offers[0], nil
}

// accept launches on an offer.
func (s *session) accept(offer mesos.Offer, launch mesos.Offer_Operation) error {
	return s.call(calls.Accept(calls.OfferOperations{launch}.WithOffers(offer.ID)).With(calls.RefuseSeconds(0)))
}

// ask sends a message to an executor and checks what comes back.
func (s *session) ask(agent, executor, text, expected string) error {
	if err := s.call(calls.Message(agent, executor, []byte(text))); err != nil {
		return err
	}
	event, err := s.next(scheduler.Event_MESSAGE)
	if err != nil {
		return err
	}
	message := event.GetMessage()
	if found := string(message.Data); found != expected || message.ExecutorID.Value != executor {
		return fmt.Errorf("expected the message %q of %s, found %q of %s", expected, executor, found, message.ExecutorID.Value)
	}
	return nil
}

// failure waits until an executor has ended, and checks its wait status.
func (s *session) failure(executor string, status int32) error {
	event, err := s.next(scheduler.Event_FAILURE)
	if err != nil {
		return err
	}
	failure := event.GetFailure()
	if failure.ExecutorID == nil || failure.ExecutorID.Value != executor || failure.Status == nil || *failure.Status != status {
		return fmt.Errorf("expected the end of %s with %d, found %v", executor, status, failure)
	}
	return nil
}

// runOnAgents launches tasks in this program as an executor, and a group in the default executor.
func runOnAgents(master, codec string) error {
	s, err := subscribe(master, codec, "")
	if err != nil {
		return err
	}
	if err := s.subscribed(); err != nil {
		return err
	}
	if err := s.ofOwnExecutor(codec); err != nil {
		return err
	}
	if err := s.ofDefaultExecutor(); err != nil {
		return err
	}
	if err := s.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN}); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("the stream goes on after TEARDOWN")
	}
}

func (s *session) ofOwnExecutor(codec string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	offer, err := s.offer()
	if err != nil {
		return err
	}
	agent, command := offer.AgentID.Value, fmt.Sprintf("exec %s executor %s", program, codec)
	info := mesos.ExecutorInfo{
		Type:        mesos.ExecutorInfo_CUSTOM,
		ExecutorID:  mesos.ExecutorID{Value: "own"},
		FrameworkID: &mesos.FrameworkID{Value: s.id},
		Command:     &mesos.CommandInfo{Value: &command},
		Resources:   small(),
	}
	of := func(id, line string) mesos.TaskInfo {
		return mesos.TaskInfo{
			Name:      id,
			TaskID:    mesos.TaskID{Value: id},
			AgentID:   offer.AgentID,
			Executor:  &info,
			Data:      []byte(line),
			Resources: small(),
		}
	}
	err = s.accept(offer, calls.OpLaunch(of("ends", "exit 0"), of("fails", "exit 3"), of("stays", "exec sleep 1000"), of("last", "exec sleep 1000")))
	if err != nil {
		return err
	}
	running, finished, failed, killed := mesos.TASK_RUNNING, mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED
	found, err := s.statuses(map[string][]mesos.TaskState{
		"ends": {running, finished}, "fails": {running, failed}, "stays": {running}, "last": {running},
	})
	if err != nil {
		return err
	}
	for id, status := range found {
		if status.GetSource() != mesos.SOURCE_EXECUTOR || status.ExecutorID == nil || status.ExecutorID.Value != "own" {
			return fmt.Errorf("the status of %s is %v", id, status)
		}
	}
	fmt.Println("four tasks run in an executor, two of them end")

	if err := s.ask(agent, "own", "who runs", "who runs: last stays"); err != nil {
		return err
	}
	if err := s.call(calls.Kill("stays", agent)); err != nil {
		return err
	}
	if _, err := s.statuses(map[string][]mesos.TaskState{"stays": {killed}}); err != nil {
		return err
	}
	if err := s.ask(agent, "own", "and now", "and now: last"); err != nil {
		return err
	}
	fmt.Println("messages go both ways, and a kill ends one task alone")

	if err := s.call(calls.Shutdown("own", agent)); err != nil {
		return err
	}
	if _, err := s.statuses(map[string][]mesos.TaskState{"last": {failed}}); err != nil {
		return err
	}
	if err := s.failure("own", 3<<8); err != nil {
		return err
	}
	fmt.Println("the executor is shut down, and its wait status told")
	return nil
}

func (s *session) ofDefaultExecutor() error {
	offer, err := s.offer()
	if err != nil {
		return err
	}
	info := func(id string) mesos.ExecutorInfo {
		return mesos.ExecutorInfo{
			Type:        mesos.ExecutorInfo_DEFAULT,
			ExecutorID:  mesos.ExecutorID{Value: id},
			FrameworkID: &mesos.FrameworkID{Value: s.id},
			Resources:   small(),
		}
	}
	of := func(id, line string) mesos.TaskInfo {
		return mesos.TaskInfo{
			Name:      id,
			TaskID:    mesos.TaskID{Value: id},
			AgentID:   offer.AgentID,
			Command:   &mesos.CommandInfo{Value: &line},
			Resources: small(),
		}
	}
	starting, running, finished := mesos.TASK_STARTING, mesos.TASK_RUNNING, mesos.TASK_FINISHED
	failed, killed := mesos.TASK_FAILED, mesos.TASK_KILLED
	if err := s.accept(offer, calls.OpLaunchGroup(info("both"), of("one", "exit 0"), of("two", "sleep 0.2"))); err != nil {
		return err
	}
	good := []mesos.TaskState{starting, running, finished}
	if _, err := s.statuses(map[string][]mesos.TaskState{"one": good, "two": good}); err != nil {
		return err
	}
	fmt.Println("a group of the default executor ends")

	if offer, err = s.offer(); err != nil {
		return err
	}
	group := calls.OpLaunchGroup(info("pair"), of("good", "touch here; exec sleep 1000"), of("bad", "until [ -e ../good/here ]; do sleep 0.05; done; exit 5"))
	if err := s.accept(offer, group); err != nil {
		return err
	}
	found, err := s.statuses(map[string][]mesos.TaskState{"good": {starting, running, killed}, "bad": {starting, running, failed}})
	if err != nil {
		return err
	}
	bad := found["bad"]
	if message := bad.GetMessage(); message != "Command exited with status 5" {
		return fmt.Errorf("the end of bad is told as %q", message)
	}
	fmt.Println("one that fails takes its group along")
	return nil
}
