//! Which control plane is called and as whom: flags first, then `SICKBAY_*`, then the variables that the cloud's own tools use.
//!
//! An access key comes whole from one of them. It may lie in a file; everything else has no file: `sickbay up` and `sickbay server`
//! print the lines to export.

mod credentials;

use std::path::{Path, PathBuf};

use anyhow::Context;
use client::{Client, Config};
use protocol::tls::Fingerprint;

use self::credentials::Credentials;
use crate::exit::{NoAccessKey, Usage};

/// Flags of every command that calls the control plane. Those of the access key do not read the environment through clap: which of
/// them were given decides which variables count.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Control plane")]
pub(crate) struct Settings {
    /// Address of the control plane, such as https://sickbay.example:8443
    #[arg(long, global = true, env = "SICKBAY_ENDPOINT", value_name = "URL")]
    endpoint: Option<String>,
    /// File with your access key, which only you may read, such as the server's root-key.json:
    /// {"accessKeyId": "…", "accessKeySecret": "…"} [env: SICKBAY_CREDENTIALS_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// Id of your access key [env: SICKBAY_ACCESS_KEY_ID]
    #[arg(long, global = true, value_name = "ID")]
    access_key_id: Option<String>,
    /// Its secret. Other users of this machine can see command lines: prefer the environment or --credentials-file
    /// [env: SICKBAY_ACCESS_KEY_SECRET]
    #[arg(long, global = true, value_name = "SECRET")]
    access_key_secret: Option<String>,
    /// Token of a temporary access key. Other users of this machine can see command lines: prefer the environment or
    /// --credentials-file [env: SICKBAY_SECURITY_TOKEN]
    #[arg(long, global = true, value_name = "TOKEN")]
    security_token: Option<String>,
    /// SHA-256 of the one server certificate to trust; without it, this host's roots are trusted
    #[arg(long, global = true, env = "SICKBAY_PIN", value_name = "FINGERPRINT")]
    pin: Option<String>,
}

/// The text, unless there is none in it.
fn given(text: Option<&String>) -> Option<String> {
    text.cloned().filter(|it| !it.is_empty())
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
        let endpoint = given(self.endpoint.as_ref()).ok_or_else(|| {
            Usage("no control plane: give --endpoint or set SICKBAY_ENDPOINT".to_owned())
        })?;
        let endpoint = endpoint
            .parse()
            .map_err(|error| Usage(format!("{error}")))?;
        let Credentials {
            id,
            secret,
            security_token,
        } = self.credentials(variable)?;
        let pin = given(self.pin.as_ref())
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

    fn credentials(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Credentials> {
        let variable = |name: &str| variable(name).filter(|it| !it.is_empty());
        let flags = [
            &self.access_key_id,
            &self.access_key_secret,
            &self.security_token,
        ];
        let [id, secret, token] = flags.map(|it| given(it.as_ref()));
        if let Some(file) = &self.credentials_file {
            if id.is_some() || secret.is_some() || token.is_some() {
                let why = "--credentials-file has the whole access key: give no part of it beside";
                return Err(Usage(why.to_owned()).into());
            }
            return Credentials::read(file);
        }
        let id = id.or_else(|| variable("SICKBAY_ACCESS_KEY_ID"));
        let secret = secret.or_else(|| variable("SICKBAY_ACCESS_KEY_SECRET"));
        match (id, secret) {
            (Some(id), Some(secret)) => Ok(Credentials {
                id,
                secret,
                security_token: token.or_else(|| variable("SICKBAY_SECURITY_TOKEN")),
            }),
            (Some(_), None) => Err(half("secret")),
            (None, Some(_)) => Err(half("id")),
            (None, None) => match variable("SICKBAY_CREDENTIALS_FILE") {
                Some(file) => Credentials::read(Path::new(&file)),
                None => of_the_cloud(variable),
            },
        }
    }

    /// The pinned fingerprint as given.
    pub(crate) fn pin(&self) -> Option<&str> {
        self.pin.as_deref().filter(|it| !it.is_empty())
    }
}

/// The access key of the cloud's own tools.
fn of_the_cloud(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Credentials> {
    let id = variable("ALIBABA_CLOUD_ACCESS_KEY_ID");
    let secret = variable("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    let (Some(id), Some(secret)) = (id, secret) else {
        return Err(NoAccessKey.into());
    };
    Ok(Credentials {
        id,
        secret,
        security_token: variable("ALIBABA_CLOUD_SECURITY_TOKEN"),
    })
}

fn half(missing: &str) -> anyhow::Error {
    Usage(format!("the access key has no {missing}: both are needed")).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    fn settings(id: &str, secret: &str) -> Settings {
        Settings {
            endpoint: Some("https://sickbay.example".to_owned()),
            access_key_id: Some(id.to_owned()),
            access_key_secret: Some(secret.to_owned()),
            ..Settings::default()
        }
    }

    #[test]
    fn an_access_key_comes_whole_from_the_nearest_place() {
        let cloud = |name: &str| name.starts_with("ALIBABA").then(|| format!("cloud {name}"));
        let all = |name: &str| Some(format!("any {name}"));
        let id = |settings: Settings, variable: fn(&str) -> Option<String>| {
            settings.resolve(variable).unwrap().access_key_id
        };
        let config = settings("id", "secret").resolve(cloud).unwrap();
        assert_eq!(
            (config.access_key_id.as_str(), config.security_token),
            ("id", None)
        );
        assert_eq!(id(settings("id", "secret"), all), "id");
        assert_eq!(id(settings("", ""), all), "any SICKBAY_ACCESS_KEY_ID");
        let config = settings("", "").resolve(cloud).unwrap();
        assert_eq!(config.access_key_id, "cloud ALIBABA_CLOUD_ACCESS_KEY_ID");
        assert!(config.security_token.is_some());
        for half in [settings("id", ""), settings("", "secret")] {
            assert!(half.resolve(cloud).is_err());
        }
    }

    #[test]
    fn a_credentials_file_that_is_named_is_read_and_nothing_else() {
        let refusal = |settings: Settings, variable: &dyn Fn(&str) -> Option<String>| {
            let Err(error) = settings.resolve(variable) else {
                panic!("a refusal was expected");
            };
            assert!(error.is::<Usage>(), "{error:?}");
            format!("{error:#}")
        };
        let mut named = settings("", "");
        named.credentials_file = Some("/nonexistent/flag".into());
        let all = |name: &str| Some(format!("any {name}"));
        let text = refusal(named.clone(), &all);
        assert!(text.contains("/nonexistent/flag"), "{text}");
        let file = |name: &str| {
            (name == "SICKBAY_CREDENTIALS_FILE").then(|| "/nonexistent/variable".to_owned())
        };
        let text = refusal(settings("", ""), &file);
        assert!(text.contains("/nonexistent/variable"), "{text}");
        named.access_key_id = Some("id".to_owned());
        let text = refusal(named, &|_| None);
        assert!(text.contains("no part of it"), "{text}");
    }

    #[test]
    fn without_an_access_key_nobody_is_authenticated() {
        let Err(error) = settings("", "").resolve(|_| None) else {
            panic!("a refusal was expected");
        };
        assert_eq!(Exit::of_error(&error), Exit::NotPermitted);
        for word in [
            "SICKBAY_ACCESS_KEY_ID",
            "SICKBAY_CREDENTIALS_FILE",
            "--credentials-file",
        ] {
            assert!(error.to_string().contains(word), "{error}");
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
