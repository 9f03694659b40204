//! `POST /publish/batch`: many messages, as a JSON array or one to a line, published in order.

use super::App;
use super::error::{ApiError, JSON};
use super::item;
use super::limits::FULL_WAIT;
use super::publish::{outcome, take};
use crate::intake::{Outcome, Refusal, Sink};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

/// Publishes what it can, and answers for each message what became of it: its counts, or an error.
/// The status is 200 as soon as one was published.
pub(crate) async fn many<S: Sink>(
    State(app): State<App<S>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|error| app.bad_body(&error))?;
    let items = items(&body, app.batch_max)?;
    let deadline = Instant::now() + FULL_WAIT;
    let mut pending = Vec::with_capacity(items.len());
    let mut full = false;
    for item in items {
        // After one that found no room no other may overtake it.
        let taken = if full { Err(Refusal::Full) } else { publish(&app, item, deadline).await };
        full |= matches!(taken, Err(Refusal::Full));
        pending.push(taken.map_err(ApiError::from));
    }
    answer(pending).await
}

/// The messages in a body: the elements of an array, or the lines that are not empty.
fn items(body: &[u8], batch_max: usize) -> Result<Vec<&[u8]>, ApiError> {
    let items: Vec<&[u8]> = if body.trim_ascii_start().starts_with(b"[") {
        let array: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| ApiError::new(400, format!("no array of messages: {error}")))?;
        array.into_iter().map(|item| item.get().as_bytes()).collect()
    } else {
        let lines = body.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        lines.filter(|line| !line.is_empty()).collect()
    };
    if items.is_empty() {
        return Err(ApiError::new(400, "no message: send a JSON array, or one object to a line"));
    }
    if items.len() > batch_max {
        let message = format!("{} messages, a batch has at most {batch_max}", items.len());
        return Err(ApiError::new(413, message));
    }
    Ok(items)
}

async fn publish<S: Sink>(
    app: &App<S>,
    item: &[u8],
    deadline: Instant,
) -> Result<S::Reported, Refusal> {
    let update = item::parse(item, |topic| app.intake.payload(topic))?;
    take(&app.intake, update, deadline).await
}

async fn answer(
    pending: Vec<Result<impl Future<Output = Outcome>, ApiError>>,
) -> Result<Response, ApiError> {
    let (mut results, mut published, mut full) = (Vec::with_capacity(pending.len()), 0, false);
    for item in pending {
        let result = match item {
            Ok(reported) => outcome(reported).await,
            Err(error) => Err(error),
        };
        published += u64::from(result.is_ok());
        full |= result == Err(ApiError::full());
        results.push(match result {
            Ok(taken) => json!(taken),
            Err(error) => error.to_json(),
        });
    }
    if published == 0 && full {
        return Err(ApiError::full());
    }
    let failed = results.len() as u64 - published;
    let answer = json!({ "published": published, "failed": failed, "results": results });
    Ok((JSON, format!("{answer}\n")).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_and_lines_are_split() {
        let split = |body: &'static str| items(body.as_bytes(), 3);
        assert_eq!(split(" [1, {\"a\":[2]}]"), Ok(vec![&b"1"[..], b"{\"a\":[2]}"]));
        assert_eq!(split("{}\r\n\n  {\"a\":1}"), Ok(vec![&b"{}"[..], b"{\"a\":1}"]));
        for (body, code, words) in [
            ("", 400, "no message"),
            ("[]", 400, "no message"),
            (" \n\n", 400, "no message"),
            ("[1,", 400, "no array"),
            ("[1,2,3,4]", 413, "at most 3"),
            ("1\n2\n3\n4\n", 413, "at most 3"),
        ] {
            let ApiError(fault) = split(body).expect_err(body);
            assert_eq!(fault.code, code, "{body:?}");
            assert!(fault.message.contains(words), "{body:?}: {fault:?}");
        }
    }
}
