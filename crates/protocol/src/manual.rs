//! The `-b` argument of a manual command: what the stand-alone checker is told.

use serde::{Deserialize, Serialize};

/// Compact JSON in Base64. The first six keys are the documented ones, in the documented order; the
/// rest are Sickbay's. Both `deserialize` and the documented sample work without ours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualArgument {
    /// Check mode: 1 standard, 2 deep.
    pub mode: u8,
    /// Message servers to test; empty: the built-in ones.
    #[serde(default)]
    pub jsrv_domain: Vec<String>,
    /// The problem type.
    #[serde(default)]
    pub issue: String,
    /// Update servers to test; empty: the built-in ones.
    #[serde(default)]
    pub update_domain: Vec<String>,
    /// The host.
    pub uuid: String,
    /// The leaf, with which the checker reports back.
    pub cmd_idx: String,
    /// The server's address, such as `https://sickbay.example:8443`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// The token that opens a session for this leaf and host only, until the leaf has ended.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// SHA-256 of the server's certificate, lower-case hexadecimal; empty: a publicly trusted one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pin: String,
    /// The one key whose order is obeyed, as [`crate::order::key_digest`]; empty: no order is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// The profile to examine.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
}

/// Not a `-b` argument.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not Base64.
    #[error("the -b argument is not Base64: copy the whole command again")]
    NotBase64(#[source] data_encoding::DecodeError),
    /// Not the JSON that belongs there.
    #[error("the -b argument does not decode to the JSON of a check: copy the whole command again")]
    NotJson(#[source] serde_json::Error),
}

impl ManualArgument {
    /// The Base64 text.
    #[must_use]
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        data_encoding::BASE64.encode(&json)
    }

    /// Reads the Base64 text.
    ///
    /// # Errors
    /// It is not Base64 of such JSON.
    pub fn decode(text: &str) -> Result<Self, Error> {
        let json = data_encoding::BASE64
            .decode(text.trim().as_bytes())
            .map_err(Error::NotBase64)?;
        serde_json::from_slice(&json).map_err(Error::NotJson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "eyJtb2RlIjoxLCJqc3J2X2RvbWFpbiI6W10sImlzc3VlIjoib2ZmbGluZSIsInVwZGF0ZV9kb21haW4iOltdLCJ1dWlkIjoiaW5ldC1lYWUwNDg2Ny0wMDJmLTQyM2QtYWYwMC1jNzJjZDYyOWIyNDgiLCJjbWRfaWR4IjoiNDRjZThiZWI3ZGYyYTQxMjQ1NGM4ZDc5OTE1ODI1MzMifQ==";

    #[test]
    fn the_documented_sample_reads_and_writes_back_byte_for_byte() {
        let read = ManualArgument::decode(SAMPLE).unwrap();
        assert_eq!(read.mode, 1);
        assert_eq!(read.issue, "offline");
        assert_eq!(read.uuid, "inet-eae04867-002f-423d-af00-c72cd629b248");
        assert_eq!(read.cmd_idx, "44ce8beb7df2a412454c8d7991582533");
        assert_eq!(read.encode(), SAMPLE);
    }

    #[test]
    fn our_keys_follow_the_documented_ones() {
        let ours = ManualArgument {
            pin: "0a".into(),
            key: "0b".into(),
            subject: "sickbay".into(),
            ..ManualArgument::decode(SAMPLE).unwrap()
        };
        let json = data_encoding::BASE64.decode(ours.encode().as_bytes());
        let json = String::from_utf8(json.unwrap()).unwrap();
        assert!(json.ends_with(r#","pin":"0a","key":"0b","subject":"sickbay"}"#));
        assert_eq!(ManualArgument::decode(&ours.encode()).unwrap(), ours);
    }

    #[test]
    fn a_torn_argument_says_to_copy_it_again() {
        for torn in [
            SAMPLE.trim_end_matches("fQ=="),
            SAMPLE.trim_start_matches("eyJt"),
            "",
            "e30=",
        ] {
            let error = ManualArgument::decode(torn).unwrap_err();
            assert!(error.to_string().contains("copy the whole command again"));
        }
    }
}
