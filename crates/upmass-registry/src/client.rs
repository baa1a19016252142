//! Questions to a registry, with the proof of who is asking.

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::challenge::Challenge;
use crate::credentials::Credentials;
use crate::documents::{Token, few, parse};
use crate::{PullError, PullOptions, Reference, Result};

/// A connection to one repository of a registry.
pub(crate) struct Client {
    agent: Agent,
    /// `https://HOST/v2/NAME`
    base: String,
    scheme: &'static str,
    name: String,
    credentials: Option<Credentials>,
    /// The header that the registry takes, once it is known.
    authorization: RefCell<Option<String>>,
}

/// An answer whose body was not read yet.
pub(crate) type Answer = Response<ureq::Body>;

impl Client {
    pub(crate) fn new(reference: &Reference, options: &PullOptions) -> Result<Self> {
        let scheme = if options.plain_http { "http" } else { "https" };
        let tls = TlsConfig::builder().root_certs(roots(options.ca.as_deref())?).build();
        let config = Agent::config_builder()
            .https_only(!options.plain_http)
            .http_status_as_error(false)
            .max_redirects(5)
            .max_response_header_size(64 << 10)
            .timeout_resolve(Some(options.patience))
            .timeout_connect(Some(options.patience))
            .timeout_send_request(Some(options.patience))
            .timeout_recv_response(Some(options.patience))
            // A body may take as long as it likes, as long as something of it comes.
            .timeout_per_read(Some(options.patience))
            .user_agent(concat!("upmass/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Ok(Self {
            agent: config.into(),
            base: format!("{scheme}://{}/v2/{}", reference.address(), reference.name),
            scheme,
            name: reference.name.clone(),
            credentials: options.credentials.clone(),
            authorization: RefCell::new(None),
        })
    }

    /// Asks for `path` of the repository; the answer is 200 or 206. `from` asks for what begins there.
    pub(crate) fn get(&self, path: &str, accept: &str, from: u64) -> Result<Answer> {
        let url = format!("{}/{path}", self.base);
        let mut answer = self.ask(&url, accept, from)?;
        if answer.status() == 401 {
            // A token that was good may have become too old.
            *self.authorization.borrow_mut() = self.answer_to(&answer)?;
            answer = self.ask(&url, accept, from)?;
        }
        match answer.status().as_u16() {
            200 | 206 => Ok(answer),
            status => Err(refusal(&url, status, &mut answer)),
        }
    }

    /// The address of a path, for people.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn ask(&self, url: &str, accept: &str, from: u64) -> Result<Answer> {
        let mut request = self.agent.get(url).header("Accept", accept);
        if let Some(authorization) = &*self.authorization.borrow() {
            request = request.header("Authorization", authorization);
        }
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        request.call().map_err(|error| network(url, error))
    }

    /// The header that answers what a registry asks for; `None` when nothing does.
    fn answer_to(&self, answer: &Answer) -> Result<Option<String>> {
        let headers = answer.headers().get_all("www-authenticate").iter();
        let challenges = headers.filter_map(|header| Challenge::parse(header.to_str().ok()?));
        for challenge in challenges {
            match (challenge, &self.credentials) {
                (Challenge::Basic, Some(credentials)) => return Ok(Some(credentials.header())),
                (Challenge::Basic, None) => {}
                (Challenge::Bearer { realm, service, scope }, _) => {
                    return self.token(&realm, service, scope).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Docker registry token authentication, "Requesting a Token".
    fn token(&self, realm: &str, service: Option<String>, scope: Option<String>) -> Result<String> {
        // Name and password go there: never where everybody can read them, unless all does.
        let is_known = realm.strip_prefix("https://").is_some()
            || (self.scheme == "http" && realm.starts_with("http://"));
        if !is_known {
            return Err(PullError::Invalid {
                place: self.base.clone(),
                expected: format!("the {} address of who gives tokens", self.scheme),
                found: few(realm),
            });
        }
        let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.name));
        let mut request = self.agent.get(realm).query("scope", scope);
        if let Some(service) = service {
            request = request.query("service", service);
        }
        if let Some(credentials) = &self.credentials {
            request = request.header("Authorization", credentials.header());
        }
        let mut answer = request.call().map_err(|error| network(realm, error))?;
        if answer.status() != 200 {
            let status = answer.status().as_u16();
            return Err(refusal(realm, status, &mut answer));
        }
        let bytes = body(&mut answer, realm, MAX_TOKEN)?;
        let token: Token = parse(realm, &bytes)?;
        let token = token.text().ok_or_else(|| PullError::Invalid {
            place: realm.to_owned(),
            expected: "a token of printable characters".to_owned(),
            found: "none".to_owned(),
        })?;
        Ok(format!("Bearer {token}"))
    }
}

/// All of a body that has at most `limit` bytes.
pub(crate) fn body(answer: &mut Answer, place: &str, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = answer.body_mut().as_reader().take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| PullError::Network { url: place.to_owned(), why: error.to_string() })?;
    if bytes.len() as u64 > limit {
        return Err(PullError::TooMuch {
            place: place.to_owned(),
            found: format!("more than {limit} bytes"),
            limit: format!("{limit} bytes"),
            hint: "",
        });
    }
    Ok(bytes)
}

/// What a registry says beside its status (OCI distribution specification 1.1, "Error Codes").
fn refusal(url: &str, status: u16, answer: &mut Answer) -> PullError {
    let bytes = body(answer, url, MAX_ERROR).unwrap_or_default();
    let said: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let error = &said["errors"][0];
    let text = error["message"].as_str().or(error["code"].as_str()).unwrap_or_default();
    PullError::Status { url: few(url), status, text: few(text) }
}

fn network(url: &str, error: ureq::Error) -> PullError {
    PullError::Network { url: few(url), why: few(&error.to_string()) }
}

/// Whom to believe: the authorities in a file, or those of this machine, or else those that browsers
/// believe.
fn roots(file: Option<&Path>) -> Result<RootCerts> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|error| PullError::io("read", path, error));
    let (path, pem) = match file {
        Some(path) => (path, read(path)?),
        None => {
            let there = OF_MACHINE.iter().map(Path::new).find(|path| path.exists());
            let Some(path) = there else { return Ok(RootCerts::WebPki) };
            (path, read(path)?)
        }
    };
    let items = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = items.collect();
    match certificates.is_empty() {
        true => Err(PullError::Invalid {
            place: path.display().to_string(),
            expected: "certificates in PEM form".to_owned(),
            found: "none".to_owned(),
        }),
        false => Ok(RootCerts::new_with_certs(&certificates)),
    }
}

/// Where Debian, Fedora and others keep the authorities of a machine.
const OF_MACHINE: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
const MAX_TOKEN: u64 = 64 << 10;
const MAX_ERROR: u64 = 16 << 10;
/// How long nothing may come, unless the caller says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
