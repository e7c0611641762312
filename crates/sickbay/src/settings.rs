//! Which control plane is called and as whom: flags first, then `SICKBAY_*`, then the pair of variables that the cloud's own tools
//! use. There is no file of settings: `sickbay up` and `sickbay server` print the lines to export.

use anyhow::Context;
use client::{Client, Config};
use protocol::tls::Fingerprint;

use crate::exit::Usage;

/// Flags of every command that calls the control plane.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Control plane")]
pub(crate) struct Settings {
    /// Address of the control plane, such as https://sickbay.example:8443
    #[arg(long, global = true, env = "SICKBAY_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// Id of your access key
    #[arg(
        long,
        global = true,
        env = "SICKBAY_ACCESS_KEY_ID",
        value_name = "ID",
        hide_env_values = true
    )]
    access_key_id: Option<String>,
    /// Secret of your access key; better given by the environment
    #[arg(
        long,
        global = true,
        env = "SICKBAY_ACCESS_KEY_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    access_key_secret: Option<String>,
    /// Token of a temporary access key
    #[arg(
        long,
        global = true,
        env = "SICKBAY_SECURITY_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    security_token: Option<String>,
    /// SHA-256 of the one server certificate to trust; without it, this host's roots are trusted
    #[arg(long, global = true, env = "SICKBAY_PIN", value_name = "FINGERPRINT")]
    pin: Option<String>,
}

impl Settings {
    /// The client that they describe.
    ///
    /// # Errors
    /// Something is missing or malformed.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let config = self.resolve(|name| std::env::var(name).ok())?;
        Ok(Client::new(config)?)
    }

    fn resolve(&self, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Config> {
        let given = |it: &Option<String>| it.clone().filter(|it| !it.is_empty());
        let variable = |name: &str| variable(name).filter(|it| !it.is_empty());
        let endpoint = given(&self.endpoint).ok_or_else(|| {
            Usage("no control plane: give --endpoint or set SICKBAY_ENDPOINT".to_owned())
        })?;
        let endpoint = endpoint
            .parse()
            .map_err(|error| Usage(format!("{error}")))?;
        let pair = (given(&self.access_key_id), given(&self.access_key_secret));
        let (id, secret, security_token) = match pair {
            (Some(id), Some(secret)) => (id, secret, given(&self.security_token)),
            (None, None) => {
                let id = variable("ALIBABA_CLOUD_ACCESS_KEY_ID");
                let secret = variable("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
                let (Some(id), Some(secret)) = (id, secret) else {
                    return Err(Usage(
                        "no access key: set SICKBAY_ACCESS_KEY_ID and SICKBAY_ACCESS_KEY_SECRET"
                            .to_owned(),
                    )
                    .into());
                };
                (id, secret, variable("ALIBABA_CLOUD_SECURITY_TOKEN"))
            }
            (Some(_), None) => return Err(half("secret")),
            (None, Some(_)) => return Err(half("id")),
        };
        let pin = given(&self.pin)
            .map(|text| Fingerprint::parse(&text))
            .transpose()
            .map_err(|error| Usage(error.to_string()))
            .context("the pin cannot be used")?;
        Ok(Config {
            endpoint,
            access_key_id: id,
            access_key_secret: secret,
            security_token,
            pin,
        })
    }

    /// The pinned fingerprint as given.
    pub(crate) fn pin(&self) -> Option<&str> {
        self.pin.as_deref().filter(|it| !it.is_empty())
    }
}

fn half(missing: &str) -> anyhow::Error {
    Usage(format!("the access key has no {missing}: both are needed")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(id: &str, secret: &str) -> Settings {
        Settings {
            endpoint: Some("https://sickbay.example".to_owned()),
            access_key_id: Some(id.to_owned()),
            access_key_secret: Some(secret.to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn our_pair_comes_before_that_of_the_clouds_tools_and_they_never_mix() {
        let cloud = |name: &str| Some(format!("cloud {name}"));
        let config = settings("id", "secret").resolve(cloud).unwrap();
        assert_eq!(
            (config.access_key_id.as_str(), config.security_token),
            ("id", None)
        );
        let config = settings("", "").resolve(cloud).unwrap();
        assert_eq!(config.access_key_id, "cloud ALIBABA_CLOUD_ACCESS_KEY_ID");
        assert!(config.security_token.is_some());
        for half in [settings("id", ""), settings("", "secret")] {
            assert!(half.resolve(cloud).is_err());
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_a_usage_error() {
        let none = |_: &str| None;
        let mut pinned = settings("id", "secret");
        pinned.pin = Some("abc".to_owned());
        let mut plain = settings("id", "secret");
        plain.endpoint = Some("http://sickbay.example".to_owned());
        for (settings, word) in [
            (Settings::default(), "SICKBAY_ENDPOINT"),
            (settings("", ""), "SICKBAY_ACCESS_KEY_ID"),
            (pinned, "fingerprint"),
            (plain, "loopback"),
        ] {
            let Err(error) = settings.resolve(none) else {
                panic!("{word}: a refusal was expected");
            };
            assert!(error.is::<Usage>(), "{error:?}");
            assert!(format!("{error:#}").contains(word), "{error:?}");
        }
    }
}
