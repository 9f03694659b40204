//! The limit of open files, and raising it as far as it goes without asking anyone.

use crate::facts::Limit;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

pub(crate) fn limit() -> Limit {
    getrlimit(Resource::Nofile).into()
}

/// Raises the soft limit of open files to the hard one and returns what holds afterwards.
///
/// # Errors
///
/// What the kernel says; not expected, since no privilege is needed to go up to the hard limit.
pub fn raise_nofile() -> io::Result<Limit> {
    let now = getrlimit(Resource::Nofile);
    if now.current != now.maximum {
        let raised = Rlimit { current: now.maximum, maximum: now.maximum };
        setrlimit(Resource::Nofile, raised)?;
    }
    Ok(limit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_reaches_the_hard_limit_from_below() {
        let Limit { soft: _, hard } = limit();
        let lowered = Rlimit { current: Some(512), maximum: hard };
        setrlimit(Resource::Nofile, lowered).expect("lowering the soft limit needs no privilege");
        assert_eq!(limit().soft, Some(512));
        let raised = raise_nofile().expect("raising to the hard limit needs no privilege");
        assert_eq!(raised, Limit { soft: hard, hard });
        assert_eq!(limit(), raised);
    }
}
