//! What a master was told and what it told others, by kind.

use super::{Counters, metrics};
use crate::master::{Command, Effect};
use crate::scheduler::Call;
use serde::Serialize;

metrics! {
    /// The calls of frameworks by kind, those that were rejected included.
    pub struct CallMetrics {
        /// SUBSCRIBE. Mesos counts those that come again apart, as `master/messages_reregister_framework`.
        subscribe: u64 = "master/messages_register_framework",
        /// TEARDOWN.
        teardown: u64 = "master/messages_unregister_framework",
        /// UPDATE_FRAMEWORK.
        update_framework: u64 = "apportion/calls/update_framework",
        /// ACCEPT, with or without a launch.
        accept: u64 = "master/messages_launch_tasks",
        /// DECLINE.
        decline: u64 = "master/messages_decline_offers",
        /// ACCEPT_INVERSE_OFFERS.
        accept_inverse_offers: u64 = "apportion/calls/accept_inverse_offers",
        /// DECLINE_INVERSE_OFFERS.
        decline_inverse_offers: u64 = "apportion/calls/decline_inverse_offers",
        /// SUPPRESS.
        suppress: u64 = "master/messages_suppress_offers",
        /// REVIVE.
        revive: u64 = "master/messages_revive_offers",
        /// KILL.
        kill: u64 = "master/messages_kill_task",
        /// RECONCILE.
        reconcile: u64 = "master/messages_reconcile_tasks",
        /// RECONCILE_OPERATIONS.
        reconcile_operations: u64 = "master/messages_reconcile_operations",
        /// ACKNOWLEDGE.
        acknowledge: u64 = "master/messages_status_update_acknowledgement",
        /// ACKNOWLEDGE_OPERATION_STATUS.
        acknowledge_operation: u64 = "master/messages_operation_status_update_acknowledgement",
        /// MESSAGE.
        message: u64 = "master/messages_framework_to_executor",
        /// SHUTDOWN, of an executor.
        shutdown: u64 = "apportion/calls/shutdown",
        /// REQUEST, which changes nothing.
        request: u64 = "master/messages_resource_request",
        /// Calls in which a value cannot be read.
        invalid: u64 = "apportion/calls/invalid",
    }
}

metrics! {
    /// The messages of agents and executors by kind, those that were rejected included.
    pub struct AgentMessageMetrics {
        /// Agents that register, for the first time or again. Mesos counts the latter apart, as
        /// `master/messages_reregister_slave`.
        register: u64 = "master/messages_register_slave",
        /// Changes of what agents have.
        update: u64 = "master/messages_update_slave",
        /// Agents that leave.
        unregister: u64 = "master/messages_unregister_slave",
        /// Task statuses.
        task_status: u64 = "master/messages_status_update",
        /// Messages of executors to their frameworks.
        executor_message: u64 = "master/messages_executor_to_framework",
        /// Executors that have ended.
        executor_ended: u64 = "master/messages_exited_executor",
    }
}

metrics! {
    /// The commands that come from no framework and no agent, by kind, those that were rejected included.
    pub struct CommandMetrics {
        /// [`Command::RemoveAgent`].
        remove_agent: u64 = "apportion/commands/remove_agent",
        /// [`Command::DeactivateAgent`].
        deactivate_agent: u64 = "apportion/commands/deactivate_agent",
        /// [`Command::ActivateAgent`].
        activate_agent: u64 = "apportion/commands/activate_agent",
        /// [`Command::DisconnectAgent`].
        disconnect_agent: u64 = "apportion/commands/disconnect_agent",
        /// [`Command::AgentUnreachable`].
        agent_unreachable: u64 = "apportion/commands/agent_unreachable",
        /// [`Command::AgentGone`].
        agent_gone: u64 = "apportion/commands/agent_gone",
        /// [`Command::DrainAgent`].
        drain_agent: u64 = "apportion/commands/drain_agent",
        /// [`Command::Recover`].
        recover: u64 = "apportion/commands/recover",
        /// [`Command::RecoverFramework`].
        recover_framework: u64 = "apportion/commands/recover_framework",
        /// [`Command::AddFramework`].
        add_framework: u64 = "apportion/commands/add_framework",
        /// [`Command::DeactivateFramework`].
        deactivate_framework: u64 = "master/messages_deactivate_framework",
        /// [`Command::ActivateFramework`].
        activate_framework: u64 = "apportion/commands/activate_framework",
        /// [`Command::SetWeight`].
        set_weight: u64 = "apportion/commands/set_weight",
        /// [`Command::SetQuota`].
        set_quota: u64 = "apportion/commands/set_quota",
        /// [`Command::SetWhitelist`].
        set_whitelist: u64 = "apportion/commands/set_whitelist",
        /// [`Command::SetMaintenance`].
        set_maintenance: u64 = "apportion/commands/set_maintenance",
        /// [`Command::Operate`].
        operate: u64 = "apportion/commands/operate",
    }
}

metrics! {
    /// The effects by kind: what frameworks, agents and operators were told.
    pub struct EffectMetrics {
        /// Offers, to frameworks.
        offer: u64 = "apportion/effects/offer",
        /// Offers that are no longer valid, to frameworks.
        rescind: u64 = "apportion/effects/rescind",
        /// Inverse offers, to frameworks.
        inverse_offer: u64 = "apportion/effects/inverse_offer",
        /// Inverse offers that are no longer valid, to frameworks.
        rescind_inverse_offer: u64 = "apportion/effects/rescind_inverse_offer",
        /// Task statuses, to frameworks.
        status: u64 = "apportion/effects/status",
        /// Operation statuses, to frameworks.
        operation_status: u64 = "apportion/effects/operation_status",
        /// Operations that have failed, to frameworks and operators.
        operation_failed: u64 = "apportion/effects/operation_failed",
        /// Messages of executors, to frameworks.
        executor_message: u64 = "apportion/effects/executor_message",
        /// Executors that have ended, to frameworks.
        executor_ended: u64 = "apportion/effects/executor_ended",
        /// Subscriptions, to frameworks.
        subscribed: u64 = "apportion/effects/subscribed",
        /// Agents that are lost, each told to all frameworks at once.
        agent_lost: u64 = "apportion/effects/agent_lost",
        /// Tasks to launch, to agents.
        launch: u64 = "apportion/effects/launch",
        /// Tasks to kill, to agents.
        kill: u64 = "apportion/effects/kill",
        /// Acknowledgements of task statuses, to agents.
        acknowledge: u64 = "apportion/effects/acknowledge",
        /// Messages of frameworks, to executors.
        message: u64 = "apportion/effects/message",
        /// Executors to shut down, to agents.
        shutdown: u64 = "apportion/effects/shutdown",
        /// Frameworks to shut down, to agents.
        shutdown_framework: u64 = "apportion/effects/shutdown_framework",
        /// Agents that are to shut down.
        shutdown_agent: u64 = "apportion/effects/shutdown_agent",
        /// Operations that are done, to agents.
        operation: u64 = "apportion/effects/operation",
        /// Agents that are to drain.
        drain: u64 = "apportion/effects/drain",
        /// Tasks whose id runs elsewhere, to operators.
        task_conflict: u64 = "apportion/effects/task_conflict",
        /// Frameworks that are given up, to operators.
        framework_removed: u64 = "apportion/effects/framework_removed",
        /// Commands that look like a mistake, to operators.
        warning: u64 = "apportion/effects/warning",
    }
}

impl Counters {
    /// Returns the counter of a kind of command.
    pub(super) fn of_kind(&mut self, command: &Command) -> &mut u64 {
        let (calls, agents, others) = (&mut self.calls, &mut self.agent_messages, &mut self.other_commands);
        match command {
            Command::Call(_, call) => calls.of_kind(call),
            Command::AddAgent(_) => &mut agents.register,
            Command::UpdateAgent(_) => &mut agents.update,
            Command::UnregisterAgent(_) => &mut agents.unregister,
            Command::TaskStatus(..) => &mut agents.task_status,
            Command::ExecutorMessage(..) => &mut agents.executor_message,
            Command::ExecutorEnded(..) => &mut agents.executor_ended,
            Command::RemoveAgent(_) => &mut others.remove_agent,
            Command::DeactivateAgent(_) => &mut others.deactivate_agent,
            Command::ActivateAgent(_) => &mut others.activate_agent,
            Command::DisconnectAgent(_) => &mut others.disconnect_agent,
            Command::AgentUnreachable(_) => &mut others.agent_unreachable,
            Command::AgentGone(_) => &mut others.agent_gone,
            Command::DrainAgent(..) => &mut others.drain_agent,
            Command::Recover(_) => &mut others.recover,
            Command::RecoverFramework(..) => &mut others.recover_framework,
            Command::AddFramework(_) => &mut others.add_framework,
            Command::DeactivateFramework(_) => &mut others.deactivate_framework,
            Command::ActivateFramework(_) => &mut others.activate_framework,
            Command::SetWeight(..) => &mut others.set_weight,
            Command::SetQuota(..) => &mut others.set_quota,
            Command::SetWhitelist(_) => &mut others.set_whitelist,
            Command::SetMaintenance(..) => &mut others.set_maintenance,
            Command::Operate(..) => &mut others.operate,
        }
    }
}

impl CallMetrics {
    fn of_kind(&mut self, call: &Call) -> &mut u64 {
        match call {
            Call::Subscribe(_) => &mut self.subscribe,
            Call::Teardown => &mut self.teardown,
            Call::UpdateFramework(_) => &mut self.update_framework,
            Call::Accept(_) => &mut self.accept,
            Call::Decline { .. } => &mut self.decline,
            Call::AcceptInverseOffers { .. } => &mut self.accept_inverse_offers,
            Call::DeclineInverseOffers { .. } => &mut self.decline_inverse_offers,
            Call::Suppress(_) => &mut self.suppress,
            Call::Revive(_) => &mut self.revive,
            Call::Kill(_) => &mut self.kill,
            Call::Reconcile(_) => &mut self.reconcile,
            Call::ReconcileOperations(_) => &mut self.reconcile_operations,
            Call::Acknowledge { .. } => &mut self.acknowledge,
            Call::AcknowledgeOperation { .. } => &mut self.acknowledge_operation,
            Call::Message { .. } => &mut self.message,
            Call::Shutdown { .. } => &mut self.shutdown,
            Call::Request(_) => &mut self.request,
            Call::Invalid { .. } => &mut self.invalid,
        }
    }
}

impl EffectMetrics {
    /// Counts an effect.
    #[inline]
    pub(super) fn count(&mut self, effect: &Effect) {
        *match effect {
            Effect::Offer(_) => &mut self.offer,
            Effect::Rescind { .. } => &mut self.rescind,
            Effect::InverseOffer(_) => &mut self.inverse_offer,
            Effect::RescindInverseOffer { .. } => &mut self.rescind_inverse_offer,
            Effect::Status { .. } => &mut self.status,
            Effect::OperationStatus { .. } => &mut self.operation_status,
            Effect::OperationFailed { .. } => &mut self.operation_failed,
            Effect::ExecutorMessage { .. } => &mut self.executor_message,
            Effect::ExecutorEnded { .. } => &mut self.executor_ended,
            Effect::Subscribed { .. } => &mut self.subscribed,
            Effect::AgentLost { .. } => &mut self.agent_lost,
            Effect::Launch { .. } => &mut self.launch,
            Effect::Kill { .. } => &mut self.kill,
            Effect::Acknowledge { .. } => &mut self.acknowledge,
            Effect::Message { .. } => &mut self.message,
            Effect::Shutdown { .. } => &mut self.shutdown,
            Effect::ShutdownFramework { .. } => &mut self.shutdown_framework,
            Effect::ShutdownAgent { .. } => &mut self.shutdown_agent,
            Effect::Operation { .. } => &mut self.operation,
            Effect::Drain { .. } => &mut self.drain,
            Effect::TaskConflict { .. } => &mut self.task_conflict,
            Effect::FrameworkRemoved { .. } => &mut self.framework_removed,
            Effect::Warning { .. } => &mut self.warning,
        } += 1;
    }
}
