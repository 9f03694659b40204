//! What is settled before the first thread starts: bounds, machine, cores.

use std::sync::Arc;

use corecast_hub::{Namespaces, RuleError, Rules};
use corecast_tuning::{Facts, start_problems};

use crate::ShardId;
use crate::config::Config;
use crate::error::StartError;
use crate::tls::TlsSettings;

/// Checks every setting against its bounds.
pub(crate) fn check(config: &Config) -> Result<(), StartError> {
    rules(config)
        .map_err(|error| StartError::Setting { name: "policies", problem: error.to_string() })?;
    Namespaces::new(config.namespaces.clone())?;
    config.check()
}

/// The rules of the topics' policies.
pub(crate) fn rules(config: &Config) -> Result<Rules, RuleError> {
    let mut rules = Rules::new();
    for rule in &config.policies {
        rules.add(&rule.pattern, rule.policy)?;
    }
    Ok(rules)
}

/// The CPU of each shard, from the settings or the process's affinity: glommio would ignore the
/// latter.
pub(crate) fn cpus(config: &Config) -> Result<Vec<usize>, StartError> {
    let allowed: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().iter().map(|core| core.id).collect();
    let cpus = if config.cpus.is_empty() { &allowed } else { &config.cpus };
    if let Some(cpu) = cpus.iter().find(|cpu| !allowed.contains(cpu)) {
        let problem =
            format!("CPU {cpu} is not among those that this process may use: {allowed:?}");
        return Err(StartError::Setting { name: "cpus", problem });
    }
    if cpus.is_empty() {
        let problem = "the process's CPU affinity cannot be read; list the CPUs".to_owned();
        return Err(StartError::Setting { name: "cpus", problem });
    }
    let shards = if config.shards == 0 { cpus.len() } else { config.shards };
    Ok(cpus.iter().copied().cycle().take(shards).collect())
}

/// Speaks before glommio does, which panics or exits where it lacks something.
pub(crate) fn check_machine(shards: usize) -> Result<(), StartError> {
    let problems = start_problems(&Facts::read(), shards);
    if problems.is_empty() { Ok(()) } else { Err(StartError::Machine(problems)) }
}

/// The files of TLS, if it is spoken. What is odd about them is logged.
pub(crate) fn tls(config: &Config) -> Result<Option<Arc<TlsSettings>>, StartError> {
    if let Some((name, problem)) = config.tls.problem() {
        return Err(StartError::Setting { name, problem: problem.to_owned() });
    }
    if !config.tls.is_on() {
        return Ok(None);
    }
    let settings = TlsSettings::load(&config.tls, None)?;
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(Some(Arc::new(settings)))
}

/// The number of a shard. `check` has bounded it.
pub(crate) fn shard_id(index: usize) -> ShardId {
    ShardId(u16::try_from(index).unwrap_or_else(|_| unreachable!("SHARDS_MAX is below 65,536")))
}
