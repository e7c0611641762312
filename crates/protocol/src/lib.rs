//! What crosses a wire: API requests and answers with their signatures and policies, agent frames,
//! signed orders, the manual command's argument.
//!
//! These are the only serialisable types. They convert to and from [`model`]; nothing here reads a
//! clock, opens a socket or makes an id.

pub mod answer;
pub mod api;
pub mod asset;
pub mod audit;
pub mod clean;
pub mod endpoint;
pub mod error;
pub mod facts;
pub mod frame;
pub mod manual;
pub mod order;
pub mod outcome;
pub mod params;
pub mod policy;
pub mod runbook;
pub mod sign;
pub mod stamp;
pub mod tls;
pub mod work;
pub mod xml;
