//! `POST /publish`: one message.

use super::App;
use super::error::{ApiError, JSON};
use super::item::{self, Target};
use super::limits::{FULL_WAIT, QUERY_BYTES_MAX, REPORT_WAIT};
use crate::intake::{Intake, Outcome, Refusal, Sink, Taken, own};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Query, RawQuery, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use corecast::Update;
use tokio::time::{Instant, timeout, timeout_at};

/// Publishes the message that the body describes, or the body itself when the query names a topic.
pub(crate) async fn one<S: Sink>(
    State(app): State<App<S>>,
    RawQuery(query): RawQuery,
    target: Result<Query<Target>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    if query.is_some_and(|query| query.len() > QUERY_BYTES_MAX) {
        let message = format!("the query has more than {QUERY_BYTES_MAX} bytes");
        return Err(ApiError::new(413, message));
    }
    let Query(target) = target.map_err(|error| ApiError::new(400, error.body_text()))?;
    let body = body.map_err(|error| app.bad_body(&error))?;
    let update = if target.is_some() {
        target.update(own(&body))?
    } else {
        item::parse(&body, |topic| app.intake.payload(topic))?
    };
    let deadline = Instant::now() + FULL_WAIT;
    let reported = take(&app.intake, update, deadline).await?;
    let taken = outcome(reported).await?;
    Ok((JSON, line(&taken)).into_response())
}

/// Gives one update to the shards; waits for room until the deadline.
pub(crate) async fn take<S: Sink>(
    intake: &Intake<S>,
    update: Update,
    deadline: Instant,
) -> Result<S::Reported, Refusal> {
    let update = intake.checked(update)?;
    loop {
        match intake.update_reported(update.clone()) {
            Err(Refusal::Full) => {
                let room = intake.room_for((1, update.bytes()));
                let room = timeout_at(deadline, room).await;
                room.map_err(|_| Refusal::Full)?;
            }
            other => return other,
        }
    }
}

/// Waits for the report on a publication.
pub(crate) async fn outcome(reported: impl Future<Output = Outcome>) -> Result<Taken, ApiError> {
    match timeout(REPORT_WAIT, reported).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(ApiError::new(504, "published, but the shards have not reported in time")),
    }
}

fn line(taken: &Taken) -> String {
    // Numbers alone: writing them cannot fail.
    serde_json::to_string(taken).unwrap_or_default() + "\n"
}
