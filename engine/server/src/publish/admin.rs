//! Publishing through the admin port: many messages in one request.

use super::PublishArgs;
use super::http::{Answer, Client, HttpError, Url, percent_encoded};
use super::limits::{RETRIES_MAX, RETRY_PAUSE};
use super::source::{Form, Line};
use crate::cli::exit::{Exit, Failure};
use serde::Deserialize;
use std::time::Duration;

/// Sends messages for one topic.
#[derive(Debug)]
pub(crate) struct AdminSender {
    client: Client,
    url: Url,
    /// `/publish` with topic, key and kind in its query.
    target: String,
    /// What stands before the data of each message of a batch.
    head: String,
    form: Form,
    /// What became of the last message.
    last: Option<Report>,
}

/// What became of one message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    pub(crate) seq: Option<u64>,
    pub(crate) delivered: u64,
    pub(crate) conflated: u64,
    pub(crate) dropped: u64,
    error: Option<Problem>,
}

#[derive(Clone, Debug, Deserialize)]
struct Problem {
    code: u16,
    message: String,
    #[serde(default)]
    field: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Results {
    results: Vec<Report>,
}

impl AdminSender {
    /// # Errors
    ///
    /// When a token is named and is none.
    pub(crate) fn new(url: Url, args: &PublishArgs) -> Result<Self, Failure> {
        let topic = &args.topic;
        let mut target = format!("/publish?topic={}", percent_encoded(topic));
        let mut head = format!("{{\"topic\":{}", serde_json::Value::from(topic.as_str()));
        if let Some(key) = &args.key {
            target += &format!("&key={}", percent_encoded(key));
            head += &format!(",\"key\":{}", serde_json::Value::from(key.as_str()));
        }
        if args.snapshot {
            target += "&snapshot=true";
            head += ",\"snapshot\":true";
        }
        head += ",\"data\":";
        let token = args.token().map(|place| place.header()).transpose()?;
        let client = Client::new(url.clone()).with_authorization(token);
        Ok(Self { client, url, target, head, form: args.form, last: None })
    }

    /// What became of the last message.
    pub(crate) fn last(&self) -> Option<&Report> {
        self.last.as_ref()
    }

    /// Sends messages in their order, and waits for room as often as there is none.
    ///
    /// # Errors
    ///
    /// When one of them is refused, or the server is not there. Those before it are published.
    pub(crate) async fn send(&mut self, lines: &[Line]) -> Result<(), Failure> {
        if self.form == Form::Binary || lines.len() == 1 {
            for line in lines {
                self.send_one(line).await?;
            }
            return Ok(());
        }
        let mut rest = lines;
        let mut retries = 0;
        while !rest.is_empty() {
            let answer = self.post_batch(rest).await?;
            if answer.status == 503 {
                self.pause(&mut retries, answer.retry_after).await?;
                continue;
            }
            let Results { results } = self.read(&answer)?;
            let published = results.iter().take_while(|result| result.error.is_none()).count();
            let (done, left) = rest.split_at(published.min(rest.len()));
            match (results.into_iter().nth(published).and_then(|result| result.error), left) {
                (Some(problem), [_, ..]) if problem.code == 503 => {
                    retries = if done.is_empty() { retries } else { 0 };
                    self.pause(&mut retries, None).await?;
                }
                (Some(problem), [line, ..]) => return Err(refused(line, &problem)),
                (None, []) => {}
                _ => return Err(self.strange(&answer)),
            }
            rest = left;
        }
        Ok(())
    }

    async fn send_one(&mut self, line: &Line) -> Result<(), Failure> {
        let mut retries = 0;
        loop {
            let posted = self.client.post(&self.target, "application/octet-stream", &line.data);
            let answer = posted.await.map_err(|error| self.unreachable(error))?;
            if answer.status == 503 {
                self.pause(&mut retries, answer.retry_after).await?;
                continue;
            }
            let report: Report = self.read(&answer)?;
            if let Some(problem) = &report.error {
                return Err(refused(line, problem));
            }
            self.last = Some(report);
            return Ok(());
        }
    }

    async fn post_batch(&mut self, lines: &[Line]) -> Result<Answer, Failure> {
        let mut body = Vec::new();
        for line in lines {
            body.extend_from_slice(self.head.as_bytes());
            body.extend_from_slice(&line.data);
            body.extend_from_slice(b"}\n");
        }
        let posted = self.client.post("/publish/batch", "application/x-ndjson", &body).await;
        posted.map_err(|error| self.unreachable(error))
    }

    async fn pause(&self, retries: &mut u32, asked: Option<Duration>) -> Result<(), Failure> {
        *retries += 1;
        if *retries > RETRIES_MAX {
            let message = format!("{} has had no room for too long: try again later", self.url);
            return Err(Failure::new(Exit::Unavailable, message));
        }
        tokio::time::sleep(asked.unwrap_or(RETRY_PAUSE)).await;
        Ok(())
    }

    /// An answer's JSON; of an error the whole request is to blame.
    fn read<T: for<'a> Deserialize<'a>>(&self, answer: &Answer) -> Result<T, Failure> {
        if let Ok(read) = serde_json::from_slice(&answer.body) {
            return Ok(read);
        }
        match serde_json::from_slice::<Report>(&answer.body) {
            Ok(Report { error: Some(problem), .. }) => {
                Err(Failure::new(Exit::BadData, describe(&problem)))
            }
            _ => Err(self.strange(answer)),
        }
    }

    fn strange(&self, answer: &Answer) -> Failure {
        let (url, status) = (&self.url, answer.status);
        let message = format!("{url} answered {status} as no admin port does: is this corecast's?");
        Failure::new(Exit::Unavailable, message)
    }

    fn unreachable(&self, error: HttpError) -> Failure {
        let url = &self.url;
        match error {
            HttpError::Connect(error) => Failure::new(
                Exit::Unavailable,
                format!(
                    "cannot reach {url}: {error}; start the server with --admin 127.0.0.1:9002, or \
                     name another with --url"
                ),
            ),
            HttpError::Broken(problem) => Failure::new(
                Exit::Io,
                format!("{url}: {problem}; whether the last messages were published is not known"),
            ),
        }
    }
}

fn refused(line: &Line, problem: &Problem) -> Failure {
    Failure::new(Exit::BadData, format!("message {}: {}", line.number, describe(problem)))
}

fn describe(problem: &Problem) -> String {
    let Problem { code, message, field } = problem;
    match field {
        Some(field) => format!("{message} ({code}, {field})"),
        None => format!("{message} ({code})"),
    }
}
