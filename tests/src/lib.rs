//! What needs a whole server: conformance, browser, adversarial, churn.

#![forbid(unsafe_code)]
