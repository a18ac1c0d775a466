//! The AMF against a scripted phone, gNB, AUSF, UDM, SMF and store. Tests read like the call flows.

mod attach;
mod network;
mod phone;
