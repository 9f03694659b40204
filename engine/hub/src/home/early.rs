//! What of an update can be judged before it comes home.

use super::error::UpdateError;
use super::suffix::split_variant;
use crate::message::Update;
use crate::namespace::Namespaces;

/// Checks an update as its home will, as far as it can be known elsewhere: all but whether there
/// is room for one topic more. The grammar of the name is not checked.
///
/// # Errors
/// The one that the home would give.
pub fn check_update(update: &Update, namespaces: &Namespaces) -> Result<(), UpdateError> {
    if !matches!(split_variant(&update.topic), Ok((_, 0))) {
        return Err(UpdateError::Variant);
    }
    let namespace = namespaces.find(&update.topic).ok_or(UpdateError::Unknown)?;
    super::check(update, namespace)
}
