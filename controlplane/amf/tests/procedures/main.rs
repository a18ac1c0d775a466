//! The AMF against a scripted phone, gNB, AUSF, UDM, SMF and store. Tests read like the call flows.

#![allow(clippy::unwrap_used, clippy::panic, clippy::needless_pass_by_value, reason = "helpers of tests are tests")]

mod attach;
mod bad_input;
mod deregistration;
mod flows;
mod gnb;

mod network;
mod phone;
mod registration;
mod restart;
mod service_request;
mod sessions;
