//! What each route needs. One table, complete by its match: a route that is added here or nowhere does not compile.

use super::auth::Need;
use super::router::{Resource, Verb};
use crate::domain::api_key::KeyScope::{Admin, Read, Write};

impl Resource<'_> {
    /// What a caller must have to use this in this way.
    pub const fn needs(self, verb: Verb) -> Need {
        let (look, change) = match self {
            Self::Page(_) | Self::Health => return Need::Nothing,
            Self::Creation | Self::Payments | Self::Cancellation(_) => (Read, Write),
            Self::Status(_) | Self::Payment(_) | Self::QrCode(_) => (Read, Admin),
            Self::Stats | Self::Trends | Self::CurrentKey => (Read, Admin),
            Self::PaymentEvents(_) | Self::PaymentStream(_) => (Read, Admin),
            Self::Events | Self::EventStream => (Read, Admin),
            Self::Deliveries | Self::Delivery(_) | Self::Redelivery(_) => (Read, Admin),
            Self::Endpoints | Self::Endpoint(_) | Self::Callbacks => (Read, Admin),
            Self::Rotation(_) | Self::Test(_) | Self::Recovery(_) => (Read, Admin),
            Self::Transfers | Self::Transfer(_) | Self::Assignment(_) => (Read, Admin),
            Self::Keys | Self::Key(_) => (Admin, Admin),
        };
        match verb {
            Verb::Ask => Need::Nothing,
            Verb::Read => Need::Scope(look),
            Verb::Write | Verb::Change | Verb::Remove => Need::Scope(change),
        }
    }
}
