//! The events of the scheduler API in v1 JSON.

use super::offer::{InverseShape, OfferShape};
use super::operation::OperationStatusShape;
use super::task::StatusShape;
use super::wire::{Wrapped, bare, present, shape, wrapped};
use super::{Form, V1Error};
use crate::bytes::Bytes;
use crate::id::{AgentId, ExecutorId, FrameworkId, OfferId};
use crate::scheduler::{Event, Failure, Subscribed};
use serde_json::{Map, Value as Json};
use smol_str::SmolStr;
use std::time::Duration;

shape!(EventShape {
    ; r#type: SmolStr, subscribed: SubscribedShape, offers: Offers, inverse_offers: InverseOffers, rescind: Rescind,
    rescind_inverse_offer: RescindInverse, update: Update, update_operation_status: UpdateOperation,
    message: Message, failure: FailureShape, error: Error ;
});
shape!(SubscribedShape {
    framework_id: Wrapped<FrameworkId> ; heartbeat_interval_seconds: f64, master_info: Map<String, Json> ;
});
shape!(Offers { ; ; offers: OfferShape });
shape!(InverseOffers { ; ; inverse_offers: InverseShape });
shape!(Rescind { offer_id: Wrapped<OfferId> ; ; });
shape!(RescindInverse { inverse_offer_id: Wrapped<OfferId> ; ; });
shape!(Update { status: StatusShape ; ; });
shape!(UpdateOperation { status: OperationStatusShape ; ; });
shape!(Message { agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, data: Bytes ; ; });
shape!(FailureShape { ; agent_id: Wrapped<AgentId>, executor_id: Wrapped<ExecutorId>, status: i32 ; });
shape!(Error { message: String ; ; });

impl EventShape {
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

    /// The shape of an event; none for one that is not known and stays as it came.
    pub(super) fn write(event: &Event, form: &Form) -> Option<Self> {
        let shape = match event {
            Event::Subscribed(subscribed) => Self { subscribed: Some(subscribed.into()), ..Self::of("SUBSCRIBED") },
            Event::Offers(offers) => {
                let offers = offers.iter().map(|offer| OfferShape::write(offer, form)).collect();
                Self { offers: Some(Offers { offers }), ..Self::of("OFFERS") }
            }
            Event::InverseOffers(offers) => {
                let inverse_offers = offers.iter().map(InverseShape::from).collect();
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
                let body = FailureShape { agent_id, executor_id, status: *status };
                Self { failure: Some(body), ..Self::of("FAILURE") }
            }
            Event::Error(message) => Self { error: Some(Error { message: message.clone() }), ..Self::of("ERROR") },
            Event::Heartbeat => Self::of("HEARTBEAT"),
            Event::Unknown(_) => return None,
        };
        Some(shape)
    }

    /// Reads an event; of one that is not known, the JSON itself is kept.
    pub(super) fn read(self, json: &Json, form: &Form) -> Result<Event, V1Error> {
        Ok(match present(self.r#type.as_deref(), "type")? {
            "SUBSCRIBED" => Event::Subscribed(present(self.subscribed, "subscribed")?.into()),
            "OFFERS" => {
                let offers = present(self.offers, "offers")?.offers.into_iter();
                Event::Offers(offers.map(|offer| offer.read(form)).collect::<Result<_, _>>()?)
            }
            "INVERSE_OFFERS" => {
                let offers = present(self.inverse_offers, "inverse_offers")?.inverse_offers.into_iter();
                Event::InverseOffers(offers.map(InverseShape::read).collect::<Result<_, _>>()?)
            }
            "RESCIND" => Event::Rescind(present(self.rescind, "rescind")?.offer_id.value),
            "RESCIND_INVERSE_OFFER" => {
                let body = present(self.rescind_inverse_offer, "rescind_inverse_offer")?;
                Event::RescindInverseOffer(body.inverse_offer_id.value)
            }
            "UPDATE" => Event::Update(present(self.update, "update")?.status.into()),
            "UPDATE_OPERATION_STATUS" => {
                let body = present(self.update_operation_status, "update_operation_status")?;
                Event::UpdateOperation(body.status.into())
            }
            "MESSAGE" => {
                let Message { agent_id, executor_id, data } = present(self.message, "message")?;
                Event::Message { agent: agent_id.value, executor: executor_id.value, data: data.0 }
            }
            "FAILURE" => {
                let FailureShape { agent_id, executor_id, status } = present(self.failure, "failure")?;
                Event::Failure(Failure { agent: bare(agent_id), executor: bare(executor_id), status })
            }
            "ERROR" => Event::Error(present(self.error, "error")?.message),
            "HEARTBEAT" => Event::Heartbeat,
            _ => Event::Unknown(json.as_object().cloned().unwrap_or_default()),
        })
    }
}

impl From<&Subscribed> for SubscribedShape {
    fn from(subscribed: &Subscribed) -> Self {
        Self {
            framework_id: subscribed.framework.clone().into(),
            heartbeat_interval_seconds: subscribed.heartbeat.map(|interval| interval.as_secs_f64()),
            master_info: (!subscribed.master.is_empty()).then(|| subscribed.master.clone()),
        }
    }
}

impl From<SubscribedShape> for Subscribed {
    fn from(shape: SubscribedShape) -> Self {
        let heartbeat = shape.heartbeat_interval_seconds.and_then(|span| Duration::try_from_secs_f64(span).ok());
        Self { heartbeat, master: shape.master_info.unwrap_or_default(), ..Self::new(shape.framework_id.value) }
    }
}
