//! Events of the scheduler API in v1 JSON.

use super::offer::{WireInverse, WireOffer};
use super::operation::WireOperationStatus;
use super::task::WireStatus;
use super::wire::{Wrapped, required, unwrapped, wire, wrapped};
use super::{Dialect, V1Error};
use crate::bytes::Bytes;
use crate::details::Details;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::json::Json;
use crate::scheduler::{Event, Failure, Subscribed};
use crate::text::Text;
use std::time::Duration;

wire!(WireEvent {
    ; r#type: Text, subscribed: WireSubscribed, offers: Offers, inverse_offers: InverseOffers, rescind: Rescind,
    rescind_inverse_offer: RescindInverse, update: Update, update_operation_status: UpdateOperation,
    message: Message, failure: WireFailure, error: Error ;
});
wire!(WireSubscribed {
    framework_id: Wrapped<FrameworkId> ; heartbeat_interval_seconds: f64, master_info: Details ;
});
wire!(Offers { ; ; offers: WireOffer });
wire!(InverseOffers { ; ; inverse_offers: WireInverse });
wire!(Rescind { offer_id: Wrapped<OfferId> ; ; });
wire!(RescindInverse { inverse_offer_id: Wrapped<OfferId> ; ; });
wire!(Update { status: WireStatus ; ; });
wire!(UpdateOperation { status: WireOperationStatus ; ; });
wire!(Message { agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, data: Bytes ; ; });
wire!(WireFailure { ; agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, status: i32 ; });
wire!(Error { message: String ; ; });

impl WireEvent {
    fn of(name: &'static str) -> Self {
        Self {
            r#type: Some(name.into()),
            subscribed: None,
            offers: None,
            inverse_offers: None,
            rescind: None,
            rescind_inverse_offer: None,
            update: None,
            update_operation_status: None,
            message: None,
            failure: None,
            error: None,
        }
    }

    /// Returns the wire type of an event; `None` for an unknown one, which is written as the JSON that it has kept.
    pub(super) fn write(event: &Event, dialect: &Dialect) -> Option<Self> {
        let wire = match event {
            Event::Subscribed(subscribed) => Self { subscribed: Some(subscribed.into()), ..Self::of("SUBSCRIBED") },
            Event::Offers(offers) => {
                let offers = offers.iter().map(|offer| WireOffer::write(offer, dialect)).collect();
                Self { offers: Some(Offers { offers }), ..Self::of("OFFERS") }
            }
            Event::InverseOffers(offers) => {
                let inverse_offers = offers.iter().map(WireInverse::from).collect();
                Self { inverse_offers: Some(InverseOffers { inverse_offers }), ..Self::of("INVERSE_OFFERS") }
            }
            Event::Rescind(offer) => {
                Self { rescind: Some(Rescind { offer_id: offer.clone().into() }), ..Self::of("RESCIND") }
            }
            Event::RescindInverseOffer(offer) => {
                let body = RescindInverse { inverse_offer_id: offer.clone().into() };
                Self { rescind_inverse_offer: Some(body), ..Self::of("RESCIND_INVERSE_OFFER") }
            }
            Event::Update(status) => Self { update: Some(Update { status: status.into() }), ..Self::of("UPDATE") },
            Event::UpdateOperation(status) => {
                let body = UpdateOperation { status: status.into() };
                Self { update_operation_status: Some(body), ..Self::of("UPDATE_OPERATION_STATUS") }
            }
            Event::Message { agent, executor, data } => {
                let (agent_id, executor_id) = (agent.clone().into(), executor.clone().into());
                let body = Message { agent_id, executor_id, data: Bytes(data.clone()) };
                Self { message: Some(body), ..Self::of("MESSAGE") }
            }
            Event::Failure(Failure { agent, executor, status, .. }) => {
                let (agent_id, executor_id) = (wrapped(agent.as_ref()), wrapped(executor.as_ref()));
                let body = WireFailure { agent_id, executor_id, status: *status };
                Self { failure: Some(body), ..Self::of("FAILURE") }
            }
            Event::Error(message) => Self { error: Some(Error { message: message.clone() }), ..Self::of("ERROR") },
            Event::Heartbeat => Self::of("HEARTBEAT"),
            Event::Unknown(_) => return None,
        };
        Some(wire)
    }

    /// Converts to an event; an unknown one keeps its JSON.
    pub(super) fn read(self, json: &Json, dialect: &Dialect) -> Result<Event, V1Error> {
        Ok(match required(self.r#type.as_deref(), "type")? {
            "SUBSCRIBED" => Event::Subscribed(required(self.subscribed, "subscribed")?.into()),
            "OFFERS" => {
                let offers = required(self.offers, "offers")?.offers.into_iter();
                Event::Offers(offers.map(|offer| offer.read(dialect)).collect::<Result<_, _>>()?)
            }
            "INVERSE_OFFERS" => {
                let offers = required(self.inverse_offers, "inverse_offers")?.inverse_offers.into_iter();
                Event::InverseOffers(offers.map(WireInverse::read).collect::<Result<_, _>>()?)
            }
            "RESCIND" => Event::Rescind(required(self.rescind, "rescind")?.offer_id.value),
            "RESCIND_INVERSE_OFFER" => {
                let body = required(self.rescind_inverse_offer, "rescind_inverse_offer")?;
                Event::RescindInverseOffer(body.inverse_offer_id.value)
            }
            "UPDATE" => Event::Update(required(self.update, "update")?.status.into()),
            "UPDATE_OPERATION_STATUS" => {
                let body = required(self.update_operation_status, "update_operation_status")?;
                Event::UpdateOperation(body.status.into())
            }
            "MESSAGE" => {
                let Message { agent_id, executor_id, data } = required(self.message, "message")?;
                Event::Message { agent: agent_id.value, executor: executor_id.value, data: data.0 }
            }
            "FAILURE" => {
                let WireFailure { agent_id, executor_id, status } = required(self.failure, "failure")?;
                Event::Failure(Failure { agent: unwrapped(agent_id), executor: unwrapped(executor_id), status })
            }
            "ERROR" => Event::Error(required(self.error, "error")?.message),
            "HEARTBEAT" => Event::Heartbeat,
            _ => Event::Unknown(json.view().into()),
        })
    }
}

impl From<&Subscribed> for WireSubscribed {
    fn from(subscribed: &Subscribed) -> Self {
        Self {
            framework_id: subscribed.framework.clone().into(),
            heartbeat_interval_seconds: subscribed.heartbeat.map(|interval| interval.as_secs_f64()),
            master_info: (!subscribed.master.is_empty()).then(|| subscribed.master.clone()),
        }
    }
}

impl From<WireSubscribed> for Subscribed {
    fn from(wire: WireSubscribed) -> Self {
        let heartbeat = wire.heartbeat_interval_seconds.and_then(|span| Duration::try_from_secs_f64(span).ok());
        Self { heartbeat, master: wire.master_info.unwrap_or_default(), ..Self::new(wire.framework_id.value) }
    }
}
