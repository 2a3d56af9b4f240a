//! Error rates from Prometheus, or anything that answers its HTTP API (Thanos, Mimir, VictoriaMetrics). Protocol:
//! the Prometheus documentation, HTTP API / Instant queries.
//!
//! Two counts are read as of the same time. A reading that the server itself warns about (a store that did not answer,
//! say) is no reading.

use std::time::Duration;

use async_trait::async_trait;
use lastgood_core::At;
use serde::Deserialize;

use super::{Metrics, Sample, look_back::look_back};
use crate::{
    Check, Fault, Secret,
    client::{Address, Answer, BuildError, ask, limit, quote},
    duration::Span,
    secret::Source,
};

/// What one query may take unless configured otherwise.
pub const LIMIT: Duration = Duration::from_secs(5);
/// Bytes read of an answer. One number fits in far less.
const MOST: usize = 1024 * 1024;

/// One metric of a service's health.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What people call it: `error rate`.
    pub name: String,
    /// Where the API is, with a prefix if there is one: `http://prometheus:9090`.
    pub url: Address,
    /// The number of errors in a window that ends now. Without `total`: errors per request, 0 to 1.
    pub errors: String,
    /// The number of requests in the same window.
    pub total: Option<String>,
    /// The error rate when all is well, in percent (0 to 100). Measured from before the failing release when left out.
    pub baseline_percent: Option<f64>,
    /// For one reading; 5 s unless given.
    pub timeout: Option<Span>,
    /// A bearer token.
    pub token: Option<Source>,
    /// For basic authentication, together with `password`.
    pub username: Option<String>,
    pub password: Option<Source>,
}

impl Config {
    /// The longest range that the queries look back over.
    ///
    /// # Errors
    /// When that can't be told from their text.
    pub fn window(&self) -> Result<Duration, BuildError> {
        let of = |key, query: &str| {
            if query.trim().is_empty() {
                return Err(BuildError::invalid(key, "the query is empty"));
            }
            look_back(query).map_err(|why| BuildError::invalid(key, why.to_string()))
        };
        let total = self.total.as_deref().map_or(Ok(Duration::ZERO), |total| of("total", total))?;
        Ok(of("errors", &self.errors)?.max(total))
    }

    /// The configured baseline as errors per request, 0 to 1.
    pub fn baseline(&self) -> Option<f64> {
        self.baseline_percent.map(|percent| percent / 100.0)
    }

    /// # Errors
    /// A query whose look-back can't be told, a baseline outside 0 to 100, half of a pair of credentials, a secret that
    /// can't be read.
    pub fn build(&self, http: reqwest::Client) -> Result<Prometheus, BuildError> {
        let window = self.window()?;
        if self.baseline_percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Err(BuildError::invalid("baseline_percent", "a percentage lies between 0 and 100"));
        }
        let limit = limit(self.timeout, LIMIT)?;
        Ok(Prometheus { window, limit, credentials: self.credentials()?, config: self.clone(), http })
    }

    fn credentials(&self) -> Result<Credentials, BuildError> {
        match (&self.token, &self.username, &self.password) {
            (None, None, None) => Ok(Credentials::None),
            (Some(token), None, None) => Ok(Credentials::Bearer(BuildError::read("token", token)?)),
            (None, Some(username), Some(password)) => {
                Ok(Credentials::Basic(username.clone(), BuildError::read("password", password)?))
            }
            (None, ..) => Err(BuildError::invalid("password", "username and password belong together")),
            (Some(_), ..) => Err(BuildError::invalid("token", "give a token, or username and password")),
        }
    }
}

#[derive(Debug)]
enum Credentials {
    None,
    Bearer(Secret),
    Basic(String, Secret),
}

/// One metric, read from a Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    config: Config,
    window: Duration,
    limit: Duration,
    credentials: Credentials,
    http: reqwest::Client,
}

/// What the API answers, as far as it is of use here.
#[derive(Deserialize)]
struct Reply {
    status: String,
    data: Option<Data>,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Element>),
    Scalar((f64, String)),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Element {
    /// Time in seconds, and the number as text. Absent in a native histogram.
    value: Option<(f64, String)>,
}

impl Prometheus {
    /// Evaluates `query` as of `at`: the number, or `None` when there is no series.
    async fn ask(&self, key: &str, query: &str, at: At) -> Result<Option<f64>, Fault> {
        let asked = format!("prometheus {}, query {key:?}", self.config.url);
        // The server stops at the same time as we do, rather than working on for nobody.
        let seconds = format!("{}.{:03}", at.div_euclid(1_000), at.rem_euclid(1_000));
        let limit = format!("{}ms", self.limit.as_millis());
        let form = [("query", query), ("time", &seconds), ("timeout", &limit)];
        let request = self.http.post(self.config.url.join("api/v1/query")).form(&form);
        let request = match &self.credentials {
            Credentials::None => request,
            Credentials::Bearer(token) => request.bearer_auth(token.reveal()),
            Credentials::Basic(name, password) => request.basic_auth(name, Some(password.reveal())),
        };
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&asked))?;
        self.read(&asked, &answer)
    }

    fn read(&self, asked: &str, answer: &Answer) -> Result<Option<f64>, Fault> {
        let secrets: Vec<&Secret> = match &self.credentials {
            Credentials::None => vec![],
            Credentials::Bearer(secret) | Credentials::Basic(_, secret) => vec![secret],
        };
        let Ok(reply) = serde_json::from_slice::<Reply>(&answer.body) else {
            let said = quote(&answer.text(), &secrets);
            return Err(answer.fault(format!("{asked}: not an answer of the Prometheus API: {said}")));
        };
        if !answer.status.is_success() || reply.status != "success" {
            let said = quote(&reply.error, &secrets);
            let detail = format!("{asked}: {} {said}", reply.error_type);
            return Err(match reply.error_type.as_str() {
                "bad_data" => Fault::Invalid(detail),
                // A query that can't be evaluated (many-to-many matching) stays so; the rest is the server's state.
                "execution" => Fault::Invalid(detail),
                "timeout" | "canceled" | "internal" | "unavailable" => Fault::Unavailable(detail),
                _ => answer.fault(detail),
            });
        }
        if let Some(warning) = reply.warnings.first() {
            let said = quote(warning, &secrets);
            return Err(Fault::Unavailable(format!("{asked}: the server warns of its own answer: {said}")));
        }
        match reply.data {
            Some(data) => number(data).map_err(|why| Fault::Invalid(format!("{asked}: {why}"))),
            None => Err(Fault::Invalid(format!("{asked}: an answer without data"))),
        }
    }

    async fn read_both(&self, at: At) -> Result<(Option<f64>, Option<f64>), Fault> {
        match &self.config.total {
            Some(total) => {
                tokio::try_join!(self.ask("errors", &self.config.errors, at), self.ask("total", total, at))
            }
            None => Ok((self.ask("errors", &self.config.errors, at).await?, None)),
        }
    }

    fn reading(&self, errors: Option<f64>, total: Option<f64>) -> Result<Option<Sample>, Fault> {
        if self.config.total.is_some() {
            return Ok(total.and_then(|total| sample(errors, total)));
        }
        match errors {
            Some(rate) if rate > 1.0 => Err(Fault::Invalid(format!(
                "prometheus {}, query \"errors\": {rate} is no rate between 0 and 1; give the number of requests \
                 as \"total\"",
                self.config.url
            ))),
            Some(rate) if rate >= 0.0 => Ok(Some(Sample { rate, requests: None })),
            _ => Ok(None),
        }
    }
}

fn number(data: Data) -> Result<Option<f64>, String> {
    let text = match data {
        Data::Scalar((_, text)) => text,
        Data::Vector(elements) => match elements.as_slice() {
            [] => return Ok(None),
            [Element { value: Some((_, text)) }] => text.clone(),
            [Element { value: None }] => return Err("the result is a histogram, not a number".to_owned()),
            many => {
                let count = many.len();
                return Err(format!(
                    "{count} series, where one number is needed: aggregate them with sum(…)"
                ));
            }
        },
        Data::Matrix(_) => return Err("the result is a range: wrap the query in increase(…)".to_owned()),
        Data::String(_) => return Err("the result is text, not a number".to_owned()),
    };
    // Rust reads what Prometheus writes: `NaN`, `+Inf`, `1e-05`.
    text.parse().map(Some).map_err(|_| "the result is no number".to_owned())
}

/// The reading that two numbers make; `None` where they say nothing.
fn sample(errors: Option<f64>, total: f64) -> Option<Sample> {
    if !(total.is_finite() && total > 0.0) {
        return None;
    }
    // Prometheus has no series for what never happened: with traffic, no error series means no error.
    let errors = errors.unwrap_or(0.0);
    if !(errors.is_finite() && errors >= 0.0) {
        return None;
    }
    // `increase` extrapolates each series by itself, so that all requests failing can read as a little more than all.
    Some(Sample { rate: (errors / total).min(1.0), requests: Some(total) })
}

#[async_trait]
impl Metrics for Prometheus {
    fn window(&self) -> Duration {
        self.window
    }

    async fn error_rate(&self, at: At) -> Result<Option<Sample>, Fault> {
        let (errors, total) = self.read_both(at).await?;
        self.reading(errors, total)
    }

    async fn check(&self, now: At) -> Vec<Check> {
        let what = format!("prometheus {}: {}", self.config.url, self.config.name);
        let read = self.read_both(now).await;
        let read = read.and_then(|(errors, total)| Ok((errors, self.reading(errors, total)?)));
        let line = match read {
            Err(fault) => bad(what, &fault),
            Ok((None, Some(Sample { requests: Some(total), .. }))) => Check::warning(
                what,
                format!("no error among {total:.0} requests, and no series that counts errors"),
                "right if none ever happened; a mistyped label looks the same: try the errors query in Prometheus",
            ),
            Ok((_, Some(Sample { rate, requests }))) => {
                let of = requests.map(|total| format!(" of {total:.0} requests")).unwrap_or_default();
                Check::good(what, format!("{:.2} % errors{of}, looking back {:?}", rate * 100.0, self.window))
            }
            Ok((_, None)) => Check::warning(
                what,
                "the queries work, but return no data now",
                "right if there is no traffic; else try them in Prometheus: a mistyped label looks the same",
            ),
        };
        let mut lines = vec![line];
        if self.window.is_zero() {
            lines.push(Check::warning(
                format!("prometheus {}: {}: range", self.config.url, self.config.name),
                "the queries have no range such as [30s]",
                "counters only ever grow: wrap them in increase(…[30s]), or the rate before the shift counts too",
            ));
        }
        lines
    }
}

fn bad(what: String, fault: &Fault) -> Check {
    let advice = match fault {
        Fault::Denied(_) => "set token, or username and password, to what the server expects",
        Fault::Unavailable(_) => "is the address right, and reachable from here?",
        Fault::RateLimited { .. } => "ask again later, or raise the server's limit",
        Fault::NotFound(_) | Fault::Invalid(_) | Fault::Conflict(_) | Fault::Unknown(_) => {
            "try the query in Prometheus; it has to return one number"
        }
    };
    Check::bad(what, fault.to_string(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<f64>, String> {
        number(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn one_number_is_read_and_anything_else_says_what_to_do() {
        assert_eq!(
            read(r#"{"resultType":"vector","result":[{"metric":{},"value":[1.5,"42"]}]}"#),
            Ok(Some(42.0))
        );
        assert_eq!(read(r#"{"resultType":"scalar","result":[1.5,"1e-05"]}"#), Ok(Some(1e-5)));
        assert_eq!(read(r#"{"resultType":"vector","result":[]}"#), Ok(None));
        let nan = read(r#"{"resultType":"scalar","result":[1,"NaN"]}"#).unwrap().unwrap();
        assert!(nan.is_nan());
        let two = r#"{"resultType":"vector","result":[{"value":[1,"1"]},{"value":[1,"2"]}]}"#;
        assert!(read(two).unwrap_err().contains("aggregate"));
        assert!(read(r#"{"resultType":"vector","result":[{"histogram":[1,{}]}]}"#).is_err());
        assert!(read(r#"{"resultType":"matrix","result":[]}"#).is_err());
    }

    #[test]
    fn no_traffic_is_no_reading_and_no_error_series_is_no_error() {
        for total in [0.0, f64::NAN, -1.0, f64::INFINITY] {
            assert_eq!(sample(Some(0.0), total), None, "{total}");
        }
        assert_eq!(sample(Some(f64::NAN), 10.0), None);
        assert_eq!(sample(None, 10.0), Some(Sample { rate: 0.0, requests: Some(10.0) }));
        assert_eq!(sample(Some(11.0), 10.0), Some(Sample { rate: 1.0, requests: Some(10.0) }));
    }
}
