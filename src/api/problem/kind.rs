//! The kinds of errors, one row each: its status, its word for programs (part of the contract), a few words for people.

use http::StatusCode;

/// Writes the enum and everything that must know each of its variants.
macro_rules! kinds {
    ($($kind:ident: $status:ident, $code:literal, $title:literal;)*) => {
        /// What kind of error it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $($kind,)*
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$kind => StatusCode::$status,)*
                }
            }

            /// The word for programs; part of the contract.
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                }
            }

            /// The same in a few words for people.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)*
                }
            }
        }
    };
}

kinds! {
    InvalidJson: BAD_REQUEST, "invalid_json", "The body is not usable JSON";
    InvalidRequest: BAD_REQUEST, "invalid_request", "The request has mistakes";
    InvalidQuery: BAD_REQUEST, "invalid_query", "The query string has mistakes";
    BodyUnreadable: BAD_REQUEST, "body_unreadable", "The body could not be read";
    InvalidIdempotencyKey: BAD_REQUEST, "invalid_idempotency_key", "The idempotency key is not usable";
    IdempotencyInFlight: CONFLICT, "idempotency_in_flight", "The same request is under way";
    IdempotencyMismatch: UNPROCESSABLE_ENTITY, "idempotency_mismatch", "The idempotency key belongs to another request";
    InvalidToken: UNAUTHORIZED, "invalid_token", "The credential is not valid";
    Forbidden: FORBIDDEN, "forbidden", "The credential does not reach this far";
    ForeignOrigin: FORBIDDEN, "foreign_origin", "Pages of this origin may not do this";
    ForeignHost: MISDIRECTED_REQUEST, "foreign_host", "This hub has another name";
    NotFound: NOT_FOUND, "not_found", "There is nothing here";
    PaymentNotFound: NOT_FOUND, "payment_not_found", "There is no such payment";
    TransferNotFound: NOT_FOUND, "transfer_not_found", "There is no such transfer";
    EndpointNotFound: NOT_FOUND, "endpoint_not_found", "There is no such webhook endpoint";
    DeliveryNotFound: NOT_FOUND, "delivery_not_found", "There is no such delivery";
    KeyNotFound: NOT_FOUND, "key_not_found", "There is no such API key";
    MethodNotAllowed: METHOD_NOT_ALLOWED, "method_not_allowed", "The method is not allowed here";
    RequestTimeout: REQUEST_TIMEOUT, "request_timeout", "The request came too slowly";
    OrderTaken: CONFLICT, "order_id_taken", "The order_id is in use";
    AmountAmbiguous: CONFLICT, "amount_ambiguous", "The amount is ambiguous";
    NoUniqueAmount: CONFLICT, "no_unique_amount", "No unique amount is left on the address";
    WalletExhausted: CONFLICT, "wallet_exhausted", "The wallet has no address left";
    NotCancellable: CONFLICT, "not_cancellable", "The payment cannot be cancelled";
    TransferSettled: CONFLICT, "transfer_settled", "The transfer already settles a payment";
    NotAssignable: CONFLICT, "not_assignable", "The transfer cannot be assigned to this payment";
    TooManyEndpoints: CONFLICT, "too_many_endpoints", "There are too many webhook endpoints";
    EndpointDisabled: CONFLICT, "endpoint_disabled", "The webhook endpoint is disabled";
    NotRedeliverable: CONFLICT, "not_redeliverable", "The delivery cannot be asked for again";
    SecretsConfigured: CONFLICT, "secrets_configured", "The secrets are kept in the configuration";
    FirstKeyMustBeAdmin: CONFLICT, "first_key_must_be_admin", "The first API key must be an admin's";
    LastAdminKey: CONFLICT, "last_admin_key", "This is the last admin key";
    TooManyKeys: CONFLICT, "too_many_keys", "There are too many API keys";
    BodyTooLarge: PAYLOAD_TOO_LARGE, "body_too_large", "The body is too large";
    UnsupportedMediaType: UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The content type is not JSON";
    Internal: INTERNAL_SERVER_ERROR, "internal_error", "The hub made a mistake";
    StoreUnavailable: SERVICE_UNAVAILABLE, "store_unavailable", "The store does not answer";
    Overloaded: SERVICE_UNAVAILABLE, "overloaded", "The hub did not answer in time";
    EpochChanged: CONFLICT, "epoch_changed", "The event log is another one";
    EventsGone: GONE, "events_gone", "These events are no longer kept";
    TooManyStreams: SERVICE_UNAVAILABLE, "too_many_streams", "Too many sockets and streams are open";
    TooManyWaiting: SERVICE_UNAVAILABLE, "too_many_waiting", "Too many requests wait for events";
    ShuttingDown: SERVICE_UNAVAILABLE, "shutting_down", "The hub is shutting down";
}
