//! The operator API: REST under `/operator/v1`, its OpenAPI document, server-sent events, health and metrics.
//!
//! What this crate does not do: know how cores are run or reached. It asks [`Platform`] and [`Core`], which the platform
//! implements; in its tests they are values. It keeps no state but counters, holds no key longer than a request takes, and
//! decides nothing about a phone.
//!
//! ```text
//!   client ──► serve ──► auth ──► routes ──► Platform / Core (traits) ──► a core
//!                                   │
//!              problem (RFC 9457) ◄─┘ every refusal, with who is at fault and a hint
//! ```

mod auth;
mod backend;
pub mod csv;
mod extract;
mod metrics;
mod milenage;
mod openapi;
mod problem;
mod routes;
mod serve;
pub mod types;

pub use auth::{Token, TokenError};
pub use backend::{
    Acknowledged, Core, CoreError, EventStream, EventsFrom, ImportError, NewSubscriber, PageRequest, Platform,
};
pub use extract::{CURSOR_CHARS_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
pub use milenage::opc;
pub use openapi::document;
pub use problem::Problem;
pub use routes::{BODY_OCTETS_MAX, EVENT_STREAMS_MAX, IMPORT_OCTETS_MAX, IMPORT_RECORDS_MAX, router};
pub use serve::{CONNECTIONS_MAX, serve};
